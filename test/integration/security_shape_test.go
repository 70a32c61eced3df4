package integration

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// inspected is what the engine says of a container.
type inspected struct {
	Name   string
	Mounts []struct{ Type, Source, Destination string }
	// HostConfig is what it may do.
	HostConfig struct {
		Privileged                                         bool
		CapAdd, Binds, DeviceCgroupRules, VolumesFrom      []string
		NetworkMode, PidMode, IpcMode, UTSMode, UsernsMode string
		CgroupnsMode                                       string
		Devices                                            []struct{ PathOnHost string }
		SecurityOpt                                        []string
		MaskedPaths, ReadonlyPaths                         []string
	}
}

func inspect(t *testing.T, id string) inspected {
	t.Helper()
	out, err := exec.Command("docker", "inspect", id).Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []inspected
	if err := json.Unmarshal(out, &found); err != nil || len(found) != 1 {
		t.Fatalf("docker inspect %s: %v\n%s", id, err, out)
	}
	return found[0]
}

// capabilities returns those that the processes of a container can have.
func capabilities(t *testing.T, words ...string) uint64 {
	t.Helper()
	fields := lines(slices.Concat([]string{"docker"}, words, []string{"grep", "CapBnd", "/proc/1/status"})...)
	if len(fields) != 2 {
		t.Fatalf("no capabilities: %q", fields)
	}
	set, err := strconv.ParseUint(fields[1], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// expectShape checks that the containers of the job have what every container
// has, and the sidecar these capabilities and devices besides.
func (c *sidecar) expectShape(t *testing.T, added []string, bits uint64, devices []string) {
	t.Helper()
	usual := capabilities(t, "run", "--rm", "--network", "none", "--entrypoint", "", dindImage)
	for _, id := range append(c.jobs, c.id) {
		is := inspect(t, id)
		host := is.HostConfig
		var wantAdded, wantDevices []string
		wantSet := usual
		if id == c.id {
			wantAdded, wantSet, wantDevices = added, usual|bits, devices
		}
		if host.Privileged || len(host.Binds)+len(host.DeviceCgroupRules)+len(host.VolumesFrom) > 0 ||
			host.PidMode != "" || host.UTSMode != "" || host.IpcMode == "host" || host.NetworkMode == "host" || host.UsernsMode != "" {
			t.Errorf("%s shares more with the host than it should: %+v", is.Name, host)
		}
		if len(host.CapAdd)+len(wantAdded) > 0 && !reflect.DeepEqual(trimCAP(host.CapAdd), wantAdded) {
			t.Errorf("%s: added capabilities %q, want %q", is.Name, host.CapAdd, wantAdded)
		}
		if set := capabilities(t, "exec", "-u", "0", id); set != wantSet {
			t.Errorf("%s: capabilities %x, want %x", is.Name, set, wantSet)
		}
		var hasDevices []string
		for _, device := range host.Devices {
			hasDevices = append(hasDevices, device.PathOnHost)
		}
		if !reflect.DeepEqual(hasDevices, wantDevices) {
			t.Errorf("%s: devices %q, want %q", is.Name, hasDevices, wantDevices)
		}
		for _, mount := range is.Mounts {
			if mount.Type != "volume" {
				t.Errorf("%s: mounts %s of the host at %s", is.Name, mount.Source, mount.Destination)
			}
		}
		opts := strings.Join(host.SecurityOpt, " ")
		if id != c.id && opts != "" || id == c.id && (!strings.Contains(opts, "seccomp={") || !strings.Contains(opts, "apparmor=unconfined") || host.CgroupnsMode != "private") {
			t.Errorf("%s: cgroup namespace %q, security options %.200s", is.Name, host.CgroupnsMode, opts)
		}
		if masked := len(host.MaskedPaths) > 0 && len(host.ReadonlyPaths) > 0; masked != (id != c.id || devices == nil) {
			t.Errorf("%s: masked paths %q, read-only paths %q", is.Name, host.MaskedPaths, host.ReadonlyPaths)
		}
	}
}

// trimCAP leaves out the prefix that some engines add.
func trimCAP(names []string) []string {
	trimmed := make([]string, len(names))
	for i, name := range names {
		trimmed[i] = strings.TrimPrefix(name, "CAP_")
	}
	slices.Sort(trimmed)
	return trimmed
}
