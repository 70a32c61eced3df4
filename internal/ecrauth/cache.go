package ecrauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// cache is the file of one key. With an empty path it keeps nothing.
type cache struct {
	path string
	warn func(format string, args ...any)
}

// openCache returns the cache of key. A folder that cannot be had is no reason
// to fail a job: it says so and keeps nothing.
func openCache(stateDir, key string, warn func(string, ...any)) cache {
	if stateDir == "" {
		return cache{warn: warn}
	}
	dir := filepath.Join(stateDir, "ecr")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = checkOwner(dir)
	}
	if err == nil {
		err = syscall.Access(dir, 2 /* W_OK */)
	}
	if err != nil {
		warn("ECR tokens are not kept for other jobs: %v; make %s a folder of this user, or set ECR_EXECUTOR_STATE_DIR", err, stateDir)
		return cache{warn: warn}
	}
	return cache{path: filepath.Join(dir, key+".json"), warn: warn}
}

var errUnsafe = errors.New("it belongs to another user or others have access to it")

// checkOwner makes sure that nobody else can have written path.
func checkOwner(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 || info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s: %w", path, errUnsafe)
	}
	return nil
}

// read returns the token in the cache. A file that cannot be trusted is set
// aside.
func (c cache) read() (token, bool) {
	if c.path == "" {
		return token{}, false
	}
	err := checkOwner(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return token{}, false
	}
	var cached token
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(c.path); err == nil {
			err = json.Unmarshal(data, &cached)
		}
		if err == nil && (cached.Authorization == "" || !cached.Expires.After(cached.Issued)) {
			err = errNotAToken
		}
	}
	if err != nil {
		c.warn("Setting the ECR token cache %s aside: %v", c.path, err)
		if err := os.Rename(c.path, c.path+".corrupt"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.warn("Setting it aside: %v", err)
		}
		return token{}, false
	}
	return cached, true
}

// lock keeps other processes from fetching the same token. Without a working
// lock every process fetches its own.
//
// When try is set and another process has the lock, unlock is nil.
func (c cache) lock(ctx context.Context, try bool) (unlock func(), err error) {
	if c.path == "" {
		return func() {}, nil
	}
	lock := flock.New(c.path+".lock", flock.SetPermissions(0o600))
	if try {
		var locked bool
		if locked, err = lock.TryLock(); err == nil && !locked {
			return nil, nil
		}
	} else {
		_, err = lock.TryLockContext(ctx, 20*time.Millisecond)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for another job to get an ECR token: %w", err)
		}
		c.warn("Locking %s: %v", lock.Path(), err)
		return func() {}, nil
	}
	return func() {
		if err := lock.Close(); err != nil {
			c.warn("Unlocking %s: %v", lock.Path(), err)
		}
	}, nil
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".token-"

// write replaces the token in the cache, and removes what is long expired. A
// token that cannot be kept still serves this job.
func (c cache) write(t token, now time.Time) {
	if c.path == "" {
		return
	}
	if err := c.replace(t); err != nil {
		c.warn("Keeping the ECR token for other jobs: %v", err)
	}
	if err := prune(filepath.Dir(c.path), now); err != nil {
		c.warn("Pruning the ECR token cache: %v", err)
	}
}

func (c cache) replace(t token) (err error) {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(c.path), tempPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if _, err := temp.Write(data); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := os.Chtimes(temp.Name(), t.Expires, t.Expires); err != nil { // for prune
		return err
	}
	return os.Rename(temp.Name(), c.path)
}
