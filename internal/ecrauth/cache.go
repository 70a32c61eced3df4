package ecrauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/gofrs/flock"
)

// identityVariables select the principal that the AWS SDK uses
// (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
// The secret keys are not among them: the id names the key.
var identityVariables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_DISABLED",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS",
}

// cacheKey tells principals and endpoints apart without a call to AWS, so that
// a token in the cache costs no network at all. A token covers every account
// that the principal may reach in the region: the account is no part of it.
func cacheKey(registry Registry) string {
	h := sha256.New()
	add := func(part string) { fmt.Fprintf(h, "%d:%s", len(part), part) }
	for _, name := range identityVariables {
		add(os.Getenv(name))
	}
	for _, file := range []struct{ name, fallback string }{
		{"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()},
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename()},
	} {
		path := os.Getenv(file.name)
		if path == "" {
			path = file.fallback
		}
		content, _ := os.ReadFile(path) // a missing file is no identity
		sum := sha256.Sum256(content)
		add(hex.EncodeToString(sum[:]))
	}
	add(registry.Region)
	add(strconv.FormatBool(registry.FIPS))
	add(strconv.FormatBool(registry.DualStack))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

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
func (c cache) lock(ctx context.Context) (unlock func(), err error) {
	if c.path == "" {
		return func() {}, nil
	}
	lock := flock.New(c.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for another job to get an ECR token: %w", err)
		}
		c.warn("Locking %s: %v", lock.Path(), err)
		return func() {}, nil
	}
	return func() { _ = lock.Close() }, nil
}

// write replaces the token in the cache. A token that cannot be kept still
// serves this job.
func (c cache) write(t token) {
	if c.path == "" {
		return
	}
	if err := c.replace(t); err != nil {
		c.warn("Keeping the ECR token for other jobs: %v", err)
	}
}

func (c cache) replace(t token) (err error) {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(c.path), ".token-*") // mode 0600
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
	return os.Rename(temp.Name(), c.path)
}
