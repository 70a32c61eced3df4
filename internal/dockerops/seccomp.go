package dockerops

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// needless is what Docker's default profile opens to CAP_SYS_ADMIN, and dockerd,
// containerd and runc do without.
var needless = []string{
	"bpf", "fanotify_init", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
	"perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "syslog",
}

// deviceFilter are the commands of bpf(2) with which runc filters a container's
// devices on cgroup v2: maps and probes (0-4, 15, 18, 22), load, attach and query
// a program (5, 8, 16). With those left out, detach (9) and the look-up of
// programs by id (13), root in the sidecar could take off the filter that the
// engine put on the sidecar.
var deviceFilter = []uint64{0, 1, 2, 3, 4, 5, 8, 15, 16, 18, 22}

// namespaces is what a daemon in a user namespace of its own calls without a
// capability outside of it.
var namespaces = []string{
	"clone", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "setns",
	"sethostname", "umount", "umount2", "unshare",
}

// seccompProfile returns Docker's default profile with what a daemon inside of a
// container needs, and no more, as the engine takes it. cgroup2 says that the
// engine's host has cgroup v2.
func seccompProfile(kind plan.SeccompProfile, cgroup2 bool) (string, error) {
	profile := seccomp.DefaultProfile()
	for _, rule := range profile.Syscalls {
		rule.Names = slices.DeleteFunc(rule.Names, func(name string) bool { return slices.Contains(needless, name) })
	}
	profile.Syscalls = slices.DeleteFunc(profile.Syscalls, func(rule *seccomp.Syscall) bool { return len(rule.Names) == 0 })

	noSuchCall := uint(38) // ENOSYS: runc goes on without a session keyring
	keyring := rule(specs.ActErrno, "keyctl")
	keyring.ErrnoRet = &noSuchCall
	profile.Syscalls = append(profile.Syscalls, keyring, rule(specs.ActAllow, "pivot_root"))
	if kind == plan.SeccompRootless {
		profile.Syscalls = append(profile.Syscalls, rule(specs.ActAllow, namespaces...))
	} else if cgroup2 {
		for _, command := range deviceFilter {
			bpf := rule(specs.ActAllow, "bpf")
			bpf.Args = []specs.LinuxSeccompArg{{Index: 0, Value: command, Op: specs.OpEqualTo}}
			profile.Syscalls = append(profile.Syscalls, bpf)
		}
	}
	text, err := json.Marshal(profile)
	if err != nil {
		return "", fmt.Errorf("making the seccomp profile of the sidecar: %w", err)
	}
	return string(text), nil
}

func rule(action specs.LinuxSeccompAction, names ...string) *seccomp.Syscall {
	return &seccomp.Syscall{LinuxSyscall: specs.LinuxSyscall{Names: names, Action: action}}
}
