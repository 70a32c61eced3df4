package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// The oldest Engine API that the driver speaks: that of Docker 20.10.
const oldestMajor, oldestMinor = 1, 41

func (d *doctor) checkDocker(ctx context.Context) finding {
	if d.describeErr = d.connectErr; d.describeErr == nil {
		d.engine, d.describeErr = d.Engine.Describe(ctx)
	}
	switch {
	case errors.Is(d.describeErr, fs.ErrPermission):
		return notChecked(accessCheck + " failed")
	case d.describeErr != nil:
		return failed(d.describeErr, "see the log of Docker: journalctl -u docker")
	}
	e := d.engine
	facts := fmt.Sprintf("%s (API %s) at %s, storage %s, cgroup v%s", e.Version, e.APIVersion, e.Address, e.StorageDriver, e.CgroupVersion)
	if older(e.APIVersion) {
		return fail(facts, fmt.Sprintf("the driver needs API %d.%d: update Docker to 20.10 or newer", oldestMajor, oldestMinor))
	}
	return ok("%s", facts)
}

// older reports whether the driver is too new for an engine. A version that
// cannot be read is not: requests will tell.
func older(api string) bool {
	first, second, _ := strings.Cut(api, ".")
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	return err1 == nil && err2 == nil && (major < oldestMajor || major == oldestMajor && minor < oldestMinor)
}

// checkAccess tells who may use the engine. A user who may not is a case of its
// own: nothing is wrong with Docker then.
func (d *doctor) checkAccess(context.Context) finding {
	name := userName(d.machine.uid)
	switch {
	case errors.Is(d.describeErr, fs.ErrPermission):
		return fail(fmt.Sprintf("user %s may not: %v", name, d.describeErr), fmt.Sprintf("usermod -aG docker %s, then restart gitlab-runner", name))
	case d.describeErr != nil:
		return notChecked(dockerCheck + " failed")
	}
	if runners := d.machine.runners(); len(runners) > 0 && !slices.Contains(runners, d.machine.uid) {
		other := userName(runners[0])
		return note(fmt.Sprintf("user %s may use it, but gitlab-runner runs as %s", name, other), "check as that user: sudo -u "+other+" doctor")
	}
	return ok("user %s may use it", name)
}

// little is what a few images need.
const little = 5_000_000_000

// checkDisk looks at the disk of the engine when it is this host's: an address
// on this host may lead to the engine of another, or of the host around this
// container.
func (d *doctor) checkDisk(context.Context) finding {
	e := d.engine
	if !strings.HasPrefix(e.Address, "unix://") || e.Hostname != d.machine.hostname || !exists(e.RootDir) {
		return note(fmt.Sprintf("%s cannot be seen from here: the engine is on %s", e.RootDir, e.Hostname), "look there: df -h "+e.RootDir)
	}
	bytes, err := d.machine.free(e.RootDir)
	if err != nil {
		return note(err.Error(), "df -h "+e.RootDir)
	}
	facts := fmt.Sprintf("%s free in %s", units.HumanSize(float64(bytes)), e.RootDir)
	if bytes < little {
		return note(facts, "make room: docker system df, docker system prune")
	}
	return ok("%s", facts)
}
