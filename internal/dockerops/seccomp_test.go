package dockerops

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/profiles/seccomp"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// The profile as Docker Engine 20.10 reads it (moby profiles/seccomp/seccomp.go
// and runtime-spec 1.0.2): it knows no other fields.
type (
	oldProfile struct {
		DefaultAction   string       `json:"defaultAction"`
		DefaultErrnoRet *uint        `json:"defaultErrnoRet"` // later than 20.10.0, which leaves it out: EPERM as well
		Architectures   []string     `json:"architectures"`
		ArchMap         []oldArch    `json:"archMap"`
		Syscalls        []oldSyscall `json:"syscalls"`
	}
	oldArch struct {
		Arch    string   `json:"architecture"`
		SubArch []string `json:"subArchitectures"`
	}
	oldSyscall struct {
		Name     string    `json:"name"`
		Names    []string  `json:"names"`
		Action   string    `json:"action"`
		ErrnoRet *uint     `json:"errnoRet"`
		Args     []oldArg  `json:"args"`
		Comment  string    `json:"comment"`
		Includes oldFilter `json:"includes"`
		Excludes oldFilter `json:"excludes"`
	}
	oldArg struct {
		Index    uint   `json:"index"`
		Value    uint64 `json:"value"`
		ValueTwo uint64 `json:"valueTwo"`
		Op       string `json:"op"`
	}
	oldFilter struct {
		Caps      []string `json:"caps"`
		Arches    []string `json:"arches"`
		MinKernel string   `json:"minKernel"`
	}
)

func profileOf(t *testing.T, kind plan.SeccompProfile, cgroup2 bool) (oldProfile, string) {
	t.Helper()
	text, err := seccompProfile(kind, cgroup2)
	if err != nil {
		t.Fatal(err)
	}
	var profile oldProfile
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&profile); err != nil {
		t.Fatalf("an old engine does not know this profile: %v", err)
	}
	return profile, text
}

// allows returns what an amd64 engine allows a container with these
// capabilities: calls, with the values of argument 0 that a rule is bound to.
func (p oldProfile) allows(caps ...string) map[string][]uint64 {
	lacks := func(name string) bool { return !slices.Contains(caps, name) }
	has := func(name string) bool { return slices.Contains(caps, name) }
	allowed := map[string][]uint64{}
	for _, rule := range p.Syscalls {
		if rule.Action != "SCMP_ACT_ALLOW" || slices.ContainsFunc(rule.Includes.Caps, lacks) || slices.ContainsFunc(rule.Excludes.Caps, has) ||
			len(rule.Includes.Arches) > 0 && !slices.Contains(rule.Includes.Arches, "amd64") || slices.Contains(rule.Excludes.Arches, "amd64") {
			continue
		}
		for _, name := range rule.Names {
			values, known := allowed[name]
			if len(rule.Args) == 0 || known && values == nil {
				allowed[name] = nil // whatever the arguments are
				continue
			}
			for _, arg := range rule.Args {
				values = append(values, arg.Value)
			}
			allowed[name] = values
		}
	}
	return allowed
}

// Capabilities of containers, as far as profiles ask for them.
var (
	usualCaps    = []string{"CAP_SYS_CHROOT"}
	confinedCaps = []string{"CAP_SYS_CHROOT", "CAP_SYS_ADMIN"}
)

// left is what Docker's default profile would allow a confined sidecar.
var left = []string{
	"bpf", "fanotify_init", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "perf_event_open",
	"quotactl", "quotactl_fd", "setdomainname", "syslog",
}

func TestSeccompProfile(t *testing.T) {
	engine := []string{"mount", "umount2", "unshare", "setns", "clone", "sethostname", "pivot_root", "move_mount", "fsopen", "open_tree"}
	for name, tt := range map[string]struct {
		kind    plan.SeccompProfile
		cgroup2 bool
		caps    []string
		bpf     bool
	}{
		"confined, cgroup v1": {plan.SeccompConfined, false, confinedCaps, false},
		"confined, cgroup v2": {plan.SeccompConfined, true, confinedCaps, true},
		"rootless, cgroup v1": {plan.SeccompRootless, false, usualCaps, false},
		"rootless, cgroup v2": {plan.SeccompRootless, true, usualCaps, false},
	} {
		t.Run(name, func(t *testing.T) {
			profile, text := profileOf(t, tt.kind, tt.cgroup2)
			if profile.DefaultAction != "SCMP_ACT_ERRNO" || len(profile.Syscalls) < 50 {
				t.Errorf("default %s, %d rules", profile.DefaultAction, len(profile.Syscalls))
			}
			// It is part of a request, and `docker inspect` shows it.
			if len(text) > 20_000 {
				t.Errorf("%d bytes", len(text))
			}
			allowed := profile.allows(tt.caps...)
			for _, call := range append(engine, "read", "execve", "chroot") {
				if values, ok := allowed[call]; !ok || values != nil {
					t.Errorf("%s: allowed %v, only with %v", call, ok, values)
				}
			}
			refused := append(slices.Clone(left), []string{
				"keyctl", "add_key", "request_key", "open_by_handle_at", "init_module", "finit_module", "delete_module", "reboot",
				"kexec_load", "kexec_file_load", "swapon", "swapoff", "settimeofday", "clock_settime", "iopl", "ioperm", "acct",
				"io_uring_setup", "userfaultfd", "vhangup",
			}...)
			for _, call := range refused {
				if values, ok := allowed[call]; ok && !(call == "bpf" && tt.bpf) {
					t.Errorf("%s is allowed (%v)", call, values)
				}
			}
			// AF_ALG (38) and AF_VSOCK (40) are not.
			for _, family := range []uint64{38, 40} {
				if slices.Contains(allowed["socket"], family) || allowed["socket"] == nil {
					t.Errorf("sockets of family %d: %v", family, allowed["socket"])
				}
			}
			// 9 detaches a program, 13 finds one: with them, the filter of the
			// sidecar's own devices comes off.
			if got, want := fmt.Sprint(allowed["bpf"]), "[0 1 2 3 4 5 8 15 16 18 22]"; tt.bpf && got != want {
				t.Errorf("commands of bpf: %s, want %s", got, want)
			}
		})
	}
}

// runc goes on without a session keyring when the kernel has none.
func TestSeccompKeyring(t *testing.T) {
	profile, _ := profileOf(t, plan.SeccompConfined, false)
	for _, rule := range profile.Syscalls {
		if len(rule.Names) == 0 || rule.Name != "" {
			t.Errorf("a rule for no call: %+v", rule)
		}
		if slices.Contains(rule.Names, "keyctl") && (len(rule.Names) != 1 || rule.Action != "SCMP_ACT_ERRNO" || rule.ErrnoRet == nil || *rule.ErrnoRet != 38) {
			t.Errorf("keyctl: %+v", rule)
		}
	}
	if !slices.ContainsFunc(profile.Syscalls, func(rule oldSyscall) bool { return slices.Contains(rule.Names, "keyctl") }) {
		t.Error("no rule for keyctl: it ends with EPERM, which runc takes for an error")
	}
}

// Against Docker's default profile: a confined sidecar may call pivot_root, and
// may not what is left out; a rootless one may make namespaces besides.
func TestSeccompAgainstDefault(t *testing.T) {
	text, err := json.Marshal(seccomp.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	var usual oldProfile
	if err := json.Unmarshal(text, &usual); err != nil {
		t.Fatal(err)
	}
	confined, _ := profileOf(t, plan.SeccompConfined, false)
	rootless, _ := profileOf(t, plan.SeccompRootless, false)
	if added := beyond(confined.allows(confinedCaps...), usual.allows(confinedCaps...)); !slices.Equal(added, []string{"pivot_root"}) {
		t.Errorf("confined adds %q", added)
	}
	if removed := beyond(usual.allows(confinedCaps...), confined.allows(confinedCaps...)); !slices.Equal(removed, left) {
		t.Errorf("confined leaves out %q", removed)
	}
	want := slices.Sorted(slices.Values(append([]string{"pivot_root"}, namespaces...)))
	if added := beyond(rootless.allows(usualCaps...), usual.allows(usualCaps...)); !slices.Equal(added, want) {
		t.Errorf("rootless adds %q", added)
	}
}

// beyond returns the calls that one set allows and the other does not, or only
// with certain arguments.
func beyond(one, other map[string][]uint64) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(one)), func(call string) bool {
		values, ok := other[call]
		return ok && (values == nil || slices.Equal(values, one[call]))
	})
}
