package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// scarce is far more than the tokens of a host need.
const scarce = 50_000_000

func (d *doctor) checkState(context.Context) finding {
	dir, name := d.settings.StateDir, userName(d.machine.uid)
	if dir == "" {
		return note("none: this user has no home folder; each job asks AWS for a token of its own", "set ECR_EXECUTOR_STATE_DIR to a folder of "+name)
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return d.checkParent(dir, name)
	}
	remedy := fmt.Sprintf("install -d -m 0700 -o %s %s, or set ECR_EXECUTOR_STATE_DIR to another folder", name, dir)
	switch {
	case err != nil:
		return fail(err.Error(), remedy)
	case !info.IsDir():
		return fail(dir+" is not a folder", remedy)
	}
	facts := fmt.Sprintf("%s (%s)", dir, ownerAndMode(info))
	if err := write(dir); err != nil {
		return fail(fmt.Sprintf("%s: %v", facts, err), remedy)
	}
	// Folders within are for this user alone: the driver uses no other ones.
	for _, sub := range []string{"ecr", "private"} {
		path := filepath.Join(dir, sub)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fail(err.Error(), remedy)
		}
		if ownerOf(info) != d.machine.uid || info.Mode().Perm()&0o077 != 0 || !info.IsDir() {
			return fail(fmt.Sprintf("%s (%s) must be %s's and nobody else's: tokens are not kept", path, ownerAndMode(info), name),
				fmt.Sprintf("chown -R %s %s; chmod 0700 %s", name, path, path))
		}
	}
	bytes, err := d.machine.free(dir)
	if err != nil {
		return fail(err.Error(), remedy)
	}
	facts += ", " + units.HumanSize(float64(bytes)) + " free"
	switch others := info.Mode().Perm() & 0o022; {
	case bytes < scarce:
		return note(facts, "make room on its disk")
	case others != 0 && info.Mode()&fs.ModeSticky == 0, ownerOf(info) != d.machine.uid && ownerOf(info) != 0:
		return note(facts+": others may take away what is in it", fmt.Sprintf("chown %s %s; chmod 0700 %s", name, dir, dir))
	}
	return ok("%s", facts)
}

// checkParent is for a folder that the first job will make. It is not made here:
// it would belong to who runs this.
func (d *doctor) checkParent(dir, name string) finding {
	parent := filepath.Dir(dir)
	for !exists(parent) && parent != filepath.Dir(parent) {
		parent = filepath.Dir(parent)
	}
	info, err := os.Stat(parent)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", parent)
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, parent, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	if err != nil {
		return fail(fmt.Sprintf("%s cannot be made in %s: %v", dir, parent, err),
			fmt.Sprintf("install -d -m 0700 -o %s %s, or set ECR_EXECUTOR_STATE_DIR to another folder", name, dir))
	}
	return ok("%s is not there yet: the first job makes it", dir)
}

// write tries whether a file can be made.
func write(dir string) error {
	file, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

func ownerOf(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}

func ownerAndMode(info fs.FileInfo) string {
	return fmt.Sprintf("%s, mode %#o", userName(ownerOf(info)), info.Mode().Perm())
}
