package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// open is the outcome of an attack that nothing stops: docs/security.md says so.
const open = "open"

// attacks are what root in a sidecar tries. Each ends with 0 when it worked;
// other outcomes are the words by which the right barrier refuses it. They
// write values back that were there before, and undo what they change.
var attacks = map[string]struct {
	script             string
	confined, rootless string
	onlyV1             bool   // of cgroups
	needs              string // a kernel for which this command succeeds
}{
	"a device that is not the container's": {
		script:   `mknod null c 1 3; : <null; mknod fuse c 10 229; : <fuse`,
		confined: "cannot open fuse: Operation not permitted", rootless: "null: Operation not permitted",
	},
	"the host's disks": {
		script: `mkdir dev; mount -t devtmpfs dev dev; : <dev/null; refused=no
for disk in dev/*; do
  [ -b "$disk" ] || continue
  if (: <"$disk") 2>refusal; then exit 0; fi
  grep -q "Operation not permitted" refusal
  refused=yes
done
echo "refused: $refused"; exit 1`,
		needs:    `[ -n "$(ls /sys/block)" ]`,
		confined: "refused: yes", rootless: "permission denied",
	},
	"own devices on cgroup v1": {
		script: `cd /sys/fs/cgroup/devices; mount -o remount,bind,rw,nosuid,nodev,noexec none . 2>/dev/null || :
cat devices.list >/mnt/before
echo "c 10:229 rw" >devices.allow
mknod /mnt/fuse c 10 229; (: </mnt/fuse) && opened=0 || opened=1
echo "c 10:229 rw" >devices.deny
cmp devices.list /mnt/before; exit $opened`,
		confined: open, rootless: "devices.allow: Read-only file system", onlyV1: true,
		needs: "grep -qw fuse /proc/misc",
	},
	"own limits on cgroup v1": {
		script: `cd /sys/fs/cgroup/memory; mount -o remount,bind,rw,nosuid,nodev,noexec none . 2>/dev/null || :
limit=$(cat memory.limit_in_bytes); [ "$limit" = 314572800 ]
echo 350000000 >memory.limit_in_bytes; echo "$limit" >memory.limit_in_bytes`,
		confined: open, rootless: "memory.limit_in_bytes: Read-only file system", onlyV1: true,
	},
	"release_agent in place": {
		script:   `ls -d /sys/fs/cgroup; ls /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent`,
		confined: "No such file or directory", rootless: "No such file or directory",
	},
	"release_agent of a hierarchy mounted anew": {
		script:   `mkdir c; mount -t cgroup -o devices c c; ls c/devices.list; ls c/release_agent`,
		confined: "c/release_agent': No such file or directory", rootless: "permission denied", onlyV1: true,
	},
	"release_agent of a new hierarchy": {
		script:   `mkdir c; mount -t cgroup -o none,name=attack c c; ls c/release_agent`,
		confined: "permission denied", rootless: "permission denied",
	},
	"core_pattern in place": {
		script:   `cat /proc/sys/kernel/core_pattern >value; cat value >/proc/sys/kernel/core_pattern`,
		confined: "core_pattern: Read-only file system", rootless: "core_pattern: Permission denied",
	},
	"core_pattern, mounted again": {
		script:   `mkdir s; mount --bind /proc/sys s; mount -o remount,bind,rw s; cat s/kernel/core_pattern >value; cat value >s/kernel/core_pattern`,
		confined: open, rootless: "core_pattern: Permission denied",
	},
	"core_pattern of a new proc": {
		script:   `mkdir p; unshare --pid --fork mount -t proc p p; cat p/sys/kernel/core_pattern >value; cat value >p/sys/kernel/core_pattern`,
		confined: open, rootless: "core_pattern: Permission denied",
	},
	"parameters of the kernel in sysfs": {
		script: `mkdir s; mount -t sysfs s s; mount -o remount,rw s
cat s/module/printk/parameters/time >value; cat value >s/module/printk/parameters/time`,
		confined: open, rootless: "permission denied",
		needs: "[ -e /sys/module/printk/parameters/time ]",
	},
	"debugfs": {
		script:   `mkdir d; mount -t debugfs d d; ls d/bdi`,
		confined: open, rootless: "permission denied",
		needs: "grep -qw debugfs /proc/filesystems",
	},
	"processes of the host": {
		script:   `cat /proc/[0-9]*/comm | grep -qx dockerd; cat /proc/[0-9]*/comm | grep -qx integration.tes || { echo none; exit 1; }`,
		confined: "none", rootless: "none",
	},
	"files of the host and of other containers": {
		script: `touch security-marker-own
found=$(find / -path /proc -prune -o -path /sys -prune -o -name 'security-marker-*' -print 2>/dev/null) || :
echo "found: $found"; [ "$found" != /mnt/security-marker-own ]`,
		confined: "found: /mnt/security-marker-own", rootless: "found: /mnt/security-marker-own",
	},
}

// leaveMarkers puts a file where only the host sees it, and one into a container
// of somebody else.
func leaveMarkers(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(t.TempDir(), "security-marker-host"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	id := lines("docker", "run", "-d", "--network", "none", "--entrypoint", "sh", dindImage, "-c", "touch /security-marker-other; exec sleep 600")
	if len(id) != 1 {
		t.Fatal("no other container")
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-fv", id[0]).Run() })
}

// attack tries all attacks. outcome chooses the mode's.
func (c *sidecar) attack(t *testing.T, rootless bool) {
	leaveMarkers(t)
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			if a.onlyV1 && cgroup2() {
				t.Skip("the engine has cgroup v2")
			}
			if _, code := c.outside(a.needs); code != 0 {
				t.Skip("the kernel lacks what this needs: ", a.needs)
			}
			want := a.confined
			if rootless {
				want = a.rootless
			}
			output, code := c.try(a.script)
			switch {
			case want == open && code != 0:
				t.Errorf("this no longer works, docs/security.md says that it does: %s", output)
			case want != open && code == 0:
				t.Errorf("this works: %s", output)
			case want != open && !strings.Contains(output, want):
				t.Errorf("refused for another reason than %q: %s", want, output)
			}
		})
	}
	t.Run("system calls", func(t *testing.T) { c.attackKernel(t) })
	if output, code := c.docker("run", "--rm", "-v", "/:/sidecar", inner+"/app:v1", "ls", "/sidecar/attack"); code != 0 {
		t.Errorf("a container inside does not see the sidecar, docs/security.md says so: %s", output)
	}
	host := strings.Join(lines("docker", "info", "--format", "{{.ID}}"), "")
	output, code := c.docker("info", "--format", "{{.ID}}")
	if own := strings.TrimSpace(output); code != 0 || own == "" || own == host {
		t.Errorf("the daemon that answers in the sidecar is %q, that of the host %q", own, host)
	}
}

// attackKernel makes system calls that could reach the host, and the same ones
// without a seccomp profile, where they are not refused.
func (c *sidecar) attackKernel(t *testing.T) {
	control := lines("docker", "run", "-d", "--network", "none", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined",
		"--entrypoint", "sleep", dindImage, "600")
	if len(control) != 1 {
		t.Fatal("no container without seccomp")
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-fv", control[0]).Run() })
	if output, code := c.run([]string{"sh", "-c", "docker cp " + c.id + ":/attack - | docker cp - " + control[0] + ":/"}); code != 0 {
		t.Fatalf("docker cp: %s", output)
	}
	calls := map[string]bool{ // whether the capabilities alone would stop it
		"bpf": false, "perf_event_open": false, "quotactl": false, "fanotify_init": false, "setdomainname": false, "swapon": false,
		"io_uring_setup": false, "keyctl": false, "AF_VSOCK": false, "AF_ALG": false, "open_by_handle_at": false,
		"syslog": true, "init_module": true, "finit_module": true, "delete_module": true, "reboot": true, "kexec_load": true, "settimeofday": true,
	}
	for name, capability := range calls {
		want := "EPERM"
		if name == "keyctl" {
			want = "ENOSYS"
		} else if name == "bpf" && cgroup2() {
			continue // by its command: see seccomp_test.go of dockerops
		}
		if output, code := c.run(append(c.enter, "/attack", name)); code != 1 || strings.TrimSpace(output) != want {
			t.Errorf("%s: exit code %d, %q; want %s", name, code, output, want)
		}
		if output, code := c.run([]string{"docker", "exec", control[0], "/attack", name}); code != 0 && !capability {
			t.Errorf("%s: refused without seccomp too (%q): the test shows nothing", name, output)
		}
	}
	if output, code := c.run(append(c.enter, "/attack", "getpid")); code != 0 {
		t.Errorf("the attacker cannot run: %s", output)
	}
}

// A confined sidecar: the claims of docs/security.md, also those about what it
// does not stop.
func TestSecurityConfined(t *testing.T) {
	c := startSidecar(t, newDockerJob(t).set("ECR_EXECUTOR_SERVICE_MEMORY=300m"))
	c.attack(t, false)
	c.expectShape(t, []string{"NET_ADMIN", "SYS_ADMIN"}, 1<<21|1<<12, nil)
	if output, code := c.docker("run", "--rm", "--privileged", inner+"/app:v1", "true"); !cgroup2() && (code == 0 || !strings.Contains(output, "operation not permitted")) {
		t.Errorf("a privileged container in a confined sidecar: exit code %d: %s", code, output)
	}
	if output, code := c.docker("run", "--rm", "-p", "80:80", inner+"/app:v1", "true"); code != 0 {
		t.Errorf("publishing port 80: %s", output)
	}
}
