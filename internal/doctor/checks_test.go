package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// refusing answers containers whose name ends so with an error or an exit code.
func refusing(suffix, output string, code int, err error) func(plan.Container) (string, int, error) {
	return func(c plan.Container) (string, int, error) {
		if strings.HasSuffix(c.Name, suffix) {
			return output, code, err
		}
		return wellAnswer(c)
	}
}

func TestChecks(t *testing.T) {
	denied := failure.System(errors.New("ecr:GetAuthorizationToken by arn:aws:iam::1:user/x: AccessDenied"), "allow ecr:GetAuthorizationToken")
	noTun := errors.New("starting container: error gathering device information while adding custom device \"/dev/net/tun\": no such file or directory")
	tests := map[string]struct {
		arrange        func(s *subject)
		check          string
		status         Status
		detail, remedy string
	}{
		"settings":         {nil, "settings", OK, "", ""},
		"setting unknown":  {func(s *subject) { s.settingsErr = failure.System(errors.New("no such setting: X"), "see docs") }, "settings", Fail, "X", "see docs"},
		"docker":           {nil, "docker", OK, "28.0.0 (API 1.48) at unix:///var/run/docker.sock, storage overlay2, cgroup v2", ""},
		"docker old":       {func(s *subject) { s.engine.info.APIVersion = "1.40" }, "docker", Fail, "API 1.40", "update Docker to 20.10"},
		"docker off":       {func(s *subject) { s.engine.describeErr = failure.System(errors.New("cannot connect"), "start Docker") }, "docker", Fail, "cannot connect", "start Docker"},
		"docker misnamed":  {func(s *subject) { s.connectErr = failure.System(errors.New("DOCKER_HOST"), "check DOCKER_HOST") }, "docker", Fail, "DOCKER_HOST", "check"},
		"access":           {nil, "docker access", OK, "may use it", ""},
		"access forbidden": {func(s *subject) { s.engine.describeErr = fmt.Errorf("dial: %w", fs.ErrPermission) }, "docker access", Fail, "permission denied", "usermod -aG docker"},
		"access of others": {func(s *subject) { s.machine.runners = func() []int { return []int{65534} } }, "docker access", Note, "gitlab-runner runs as nobody", "sudo -u nobody"},
		"access same user": {func(s *subject) { s.machine.runners = func() []int { return []int{65534, s.machine.uid} } }, "docker access", OK, "may use it", ""},
		"access unknown":   {func(s *subject) { s.engine.describeErr = errors.New("gone") }, "docker access", Note, "not checked: docker failed", ""},

		"confined":          {nil, "sidecar confined", OK, "runs it", ""},
		"confined refused":  {func(s *subject) { s.engine.answer = refusing("confined", "mount: denied\n", 1, nil) }, "sidecar confined", Fail, "exit code 1: mount: denied", "docs/security.md"},
		"confined no tools": {func(s *subject) { s.engine.answer = refusing("confined", "mount: not found", 127, nil) }, "sidecar confined", Note, "cannot be told: mount: not found", "docker pull docker:dind"},
		"rootless":          {nil, "sidecar rootless", OK, "runs it", ""},
		"rootless no tool":  {func(s *subject) { s.engine.answer = refusing("rootless", "no unshare", 0, nil) }, "sidecar rootless", OK, "not tried", ""},
		"rootless refused":  {func(s *subject) { s.engine.answer = refusing("rootless", "", 0, noTun) }, "sidecar rootless", Note, "not asked for", "modprobe tun"},
		"rootless wanted": {func(s *subject) {
			s.settings.DindSecurity = settings.DindRootless
			s.engine.answer = refusing("rootless", "unshare: unshare failed: Operation not permitted", 1, nil)
		}, "sidecar rootless", Fail, "Operation not permitted", "user.max_user_namespaces"},
		"privileged":         {nil, "sidecar privileged", OK, "runs it", ""},
		"privileged refused": {func(s *subject) { s.engine.answer = refusing("privileged", "", 0, errors.New("refused")) }, "sidecar privileged", Note, "not asked for", ""},
		"privileged wanted": {func(s *subject) {
			s.settings.DindSecurity = settings.DindPrivileged
			s.engine.answer = refusing("privileged", "", 0, errors.New("x: Error response from daemon: OCI runtime create failed: no caps: unknown"))
		}, "sidecar privileged", Fail, "no caps", "ECR_EXECUTOR_DIND_SECURITY=confined"},
		"confined for privileged": {func(s *subject) {
			s.settings.DindSecurity = settings.DindPrivileged
			s.engine.answer = refusing("confined", "", 1, nil)
		}, "sidecar confined", Fail, "exit code 1", "docs"},
		"confined for rootless": {func(s *subject) {
			s.settings.DindSecurity = settings.DindRootless
			s.engine.answer = refusing("confined", "", 1, nil)
		}, "sidecar confined", Note, "not asked for", "docs"},

		"helper image":   {nil, "helper image", OK, "helper:1 is on the engine", ""},
		"helper pulled":  {func(s *subject) { s.engine.images = map[string]bool{} }, "helper image", OK, "helper:1: pulled", ""},
		"helper missing": {func(s *subject) { s.settings.HelperImage = "nowhere:1" }, "helper image", Fail, "nowhere:1", "or set ECR_EXECUTOR_HELPER_IMAGE"},
		"helper not pullable": {func(s *subject) {
			s.settings.PullPolicy, s.engine.registry = nil, nil
		}, "helper image", Fail, "manifest unknown", "ECR_EXECUTOR_PULL_POLICY=if-not-present"},
		"helper of the job":  {func(s *subject) { s.settings.HelperImage = "helper:$X" }, "helper image", Note, "not checked", ""},
		"helper default":     {func(s *subject) { s.settings.HelperImage = "" }, "helper image", Fail, "x86_64-v17.9.0", "ECR_EXECUTOR_HELPER_IMAGE"},
		"tools":              {nil, "helper tools", OK, "bash, git, git-lfs, gitlab-runner-helper", ""},
		"tools few":          {func(s *subject) { s.engine.answer = refusing("tools", "tools: git gitlab-runner", 0, nil) }, "helper tools", OK, "sh, git, gitlab-runner, no git-lfs", ""},
		"tools missing":      {func(s *subject) { s.engine.answer = refusing("tools", "tools:", 0, nil) }, "helper tools", Fail, "no git, neither", "ECR_EXECUTOR_HELPER_IMAGE"},
		"tools without a sh": {func(s *subject) { s.engine.answer = refusing("tools", "", 0, errors.New("no sh")) }, "helper tools", Fail, "no sh", "needs sh"},
		"tools broken":       {func(s *subject) { s.engine.answer = refusing("tools", "boom", 3, nil) }, "helper tools", Fail, "exit code 3: boom", "needs sh"},

		"state":        {nil, "state folder", OK, "mode 0700), 80GB free", ""},
		"state none":   {func(s *subject) { s.settings.StateDir = "" }, "state folder", Note, "no home folder", "ECR_EXECUTOR_STATE_DIR"},
		"state to be":  {func(s *subject) { s.settings.StateDir += "/a/b" }, "state folder", OK, "the first job makes it", ""},
		"state a file": {func(s *subject) { s.settings.StateDir = stateFile(t) }, "state folder", Fail, "is not a folder", "install -d -m 0700"},
		"state below":  {func(s *subject) { s.settings.StateDir = stateFile(t) + "/x" }, "state folder", Fail, "not a directory", "install -d -m 0700"},
		"state open":   {func(s *subject) { mode(t, s.settings.StateDir, 0o777) }, "state folder", Note, "others may take away", "chmod 0700"},
		"state tokens open": {func(s *subject) {
			if err := os.Mkdir(s.settings.StateDir+"/ecr", 0o755); err != nil {
				t.Fatal(err)
			}
		}, "state folder", Fail, "tokens are not kept", "chmod 0700"},
		"state full": {func(s *subject) { s.machine.free = func(string) (uint64, error) { return 1000, nil } }, "state folder", Note, "1kB free", "make room"},

		"disk":          {nil, "engine disk", OK, "80GB free", ""},
		"disk full":     {func(s *subject) { s.machine.free = func(string) (uint64, error) { return 4_900_000_000, nil } }, "engine disk", Note, "4.9GB free", "docker system prune"},
		"disk remote":   {func(s *subject) { s.engine.info.Address = "tcp://far:2376" }, "engine disk", Note, "cannot be seen", "df -h"},
		"disk outside":  {func(s *subject) { s.engine.info.Hostname = "there" }, "engine disk", Note, "the engine is on there", "df -h"},
		"disk unstated": {func(s *subject) { s.machine.free = func(string) (uint64, error) { return 0, errors.New("no") } }, "engine disk", Note, "no", "df -h"},

		"identity":      {nil, "aws identity", OK, "assumed-role/ci/i-0abc (EC2RoleProvider)", ""},
		"identity none": {func(s *subject) { s.ecr.identityErr = failure.System(errors.New("none"), "attach an instance profile") }, "aws identity", Fail, "none", "attach"},
		"identity not asked": {func(s *subject) {
			s.ecr.identityErr = failure.System(silent{errors.New("timeout")}, "add the VPC endpoint")
		}, "aws identity", Note, "timeout", "VPC endpoint"},

		"registry":        {func(s *subject) { s.settings.Registries = settings.List{registry} }, "registry " + registry, OK, "credentials from Amazon ECR, valid until 2001", ""},
		"registry denied": {func(s *subject) { s.ecr.hosts["denied.io"] = denied; s.opts.Registries = []string{"denied.io"} }, "registry denied.io", Fail, "AccessDenied", "allow ecr:"},
		"registry by role": {func(s *subject) {
			s.ecr.hosts["denied.io"] = denied
			s.opts.Registries, s.settings.Roles = []string{"denied.io"}, settings.Roles{{}}
		}, "registry denied.io", Note, "AccessDenied", "ECR_EXECUTOR_ROLES"},
		"identity of jobs": {func(s *subject) {
			s.ecr.identityErr, s.settings.WebIdentityVariable = denied, "AWS_TOKEN"
		}, "aws identity", Note, "AccessDenied", "$AWS_TOKEN"},
		"registry unknown":   {func(s *subject) { s.opts.Registries = []string{"ghcr.io"} }, "registry ghcr.io", Fail, "no credentials", "docker login"},
		"registry misspelt":  {func(s *subject) { s.opts.Registries = []string{"https://x"} }, "registry https://x", Fail, "is no registry", "111122223333.dkr.ecr"},
		"registry logged in": {func(s *subject) { s.logins.hosts["ghcr.io"] = nil; s.opts.Registries = []string{"ghcr.io"} }, "registry ghcr.io", OK, "config.json", ""},
		"registry in spite": {func(s *subject) {
			s.logins.hosts[registry] = errors.New("the helper is broken")
			s.settings.EcrHosts = settings.Pairs{registry: "eu-west-1"}
		}, "registry " + registry, Note, "the helper is broken", "mend"},

		"pull":           {func(s *subject) { s.opts.Pulls = []string{app} }, "pull " + app, OK, "removed again", ""},
		"pull present":   {func(s *subject) { s.opts.Pulls = []string{app}; s.engine.images[app] = true }, "pull " + app, OK, "stays", ""},
		"pull missing":   {func(s *subject) { s.opts.Pulls = []string{"nowhere:1"} }, "pull nowhere:1", Fail, "manifest unknown", "check that"},
		"pull misspelt":  {func(s *subject) { s.opts.Pulls = []string{"A B"} }, "pull A B", Fail, "A B", "registry/repository:tag"},
		"pull in use":    {func(s *subject) { s.opts.Pulls = []string{app}; s.engine.removeErr = errors.New("in use") }, "pull " + app, Note, "in use", "docker rmi"},
		"pull forbidden": {func(s *subject) { s.opts.Pulls = []string{app}; s.ecr.hosts[registry] = denied }, "pull " + app, Fail, "AccessDenied", "allow ecr:"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t)
			if tt.arrange != nil {
				tt.arrange(s)
			}
			expect(t, s.all(t)[tt.check], tt.status, tt.detail, tt.remedy)
			for name := range s.engine.images {
				if !strings.HasPrefix(tt.check, "helper") && name != helper && !strings.Contains(tt.detail, "stays") && s.engine.removeErr == nil {
					t.Errorf("image %s was not there before", name)
				}
			}
		})
	}
}

func stateFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	write0600(t, file, "")
	return file
}

// A host that is well has nothing to say against it.
func TestWell(t *testing.T) {
	s := newSubject(t)
	s.opts.Registries, s.opts.Pulls = []string{registry}, []string{app}
	for name, r := range s.all(t) {
		if r.Status != OK && name != "config.toml" {
			t.Errorf("%s: %s %s", name, r.Status, r.Detail)
		}
	}
	if len(s.ecr.asked) == 0 || s.ecr.asked[0] != registry {
		t.Errorf("the identity was asked for with %q", s.ecr.asked)
	}
}

func TestRunners(t *testing.T) {
	before := len(runners())
	// A process is called as its program is.
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "gitlab-runner")
	write0600(t, program, string(data))
	mode(t, program, 0o700)
	process := exec.Command(program, "60")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = process.Process.Kill(), process.Wait() }()
	if found := runners(); len(found) != before+1 {
		t.Errorf("runners() = %v, want one more than %d", found, before)
	}
}

// What runs on the engine is kept as a job's sidecar is, and can be told from
// it.
func TestContainers(t *testing.T) {
	s := newSubject(t)
	s.settings.Runtime = "sysbox-runc"
	s.settings.ContainerLabels = settings.Pairs{"team": "ci"}
	s.engine.images["docker.io/library/docker:dind"] = true
	s.all(t)
	if len(s.engine.tried) != 4 {
		t.Fatalf("%d containers, want 4", len(s.engine.tried))
	}
	for _, c := range s.engine.tried {
		if c.Labels[plan.LabelJob] != s.key || c.Labels[plan.LabelTimeout] == "" || c.Labels[plan.LabelOwner] == "" || c.Labels["team"] != "ci" {
			t.Errorf("%s: labels %v", c.Name, c.Labels)
		}
		if c.Runtime != "sysbox-runc" || c.Network != "none" || !c.Silent || len(c.Mounts) > 0 {
			t.Errorf("%s: %+v", c.Name, c)
		}
		kind, isSidecar := strings.CutPrefix(c.Name, s.key+"-sidecar-")
		if !isSidecar {
			continue
		}
		want := plan.SidecarSecurity(settings.DindSecurity(kind))
		if fmt.Sprint(c.Security) != fmt.Sprint(want) || c.Image.Role != "sidecar" {
			t.Errorf("%s: security %+v, image %+v", c.Name, c.Security, c.Image)
		}
		words := append(c.Entrypoint, c.Command...)
		for i, word := range want.Wrapper {
			if words[i] != word {
				t.Errorf("%s runs %q, not behind the wrapper", c.Name, words)
			}
		}
	}
}
