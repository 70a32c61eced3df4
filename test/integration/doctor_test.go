package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

// finding is a result in the doctor's JSON.
type finding struct {
	Name, Status, Detail, Remedy string
	Duration                     *int64 `json:"duration_ms"`
}

// doctor examines this host and returns what it finds by name. It checks that
// the exit code fits and that nothing stays in the engine.
func doctor(t *testing.T, s *subject, more []string, args ...string) map[string]finding {
	t.Helper()
	before := engineObjects()
	code, stdout, stderr := runDoctor(t, append(s.Env[:len(s.Env):len(s.Env)], more...), append(args, "--json")...)
	var results []finding
	if err := json.Unmarshal([]byte(stdout), &results); err != nil {
		t.Fatalf("%v in %q; it said %q", err, stdout, stderr)
	}
	found, want := map[string]finding{}, 0
	for _, r := range results {
		found[r.Name] = r
		if r.Duration == nil {
			t.Errorf("%s has no duration_ms", r.Name)
		}
		if r.Status == "fail" {
			want = 1
			if r.Remedy == "" {
				t.Errorf("%s failed without a remedy: %s", r.Name, r.Detail)
			}
		}
	}
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	if after := engineObjects(); !slices.Equal(before, after) {
		t.Errorf("the engine had %q, and has %q", before, after)
	}
	return found
}

func runDoctor(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := exec.Command(filepath.Join(binDir, "doctor"), args...)
	command.Env = env
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), err.String()
}

// engineObjects are the doctor's containers and the images of this registry.
func engineObjects() []string {
	containers := lines("docker", "container", "ls", "--all", "--format", "{{.Names}}", "--filter", "name=gitlab-ecr-executor-doctor")
	images := lines("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference="+ecr.Host()+"/*")
	slices.Sort(images)
	return append(containers, images...)
}

func (f finding) expect(t *testing.T, status, detail, remedy string) {
	t.Helper()
	if f.Status != status || !strings.Contains(f.Detail, detail) || !strings.Contains(f.Remedy, remedy) {
		t.Errorf("%s: %s %q (%q), want %s ...%q... (...%q...)", f.Name, f.Status, f.Detail, f.Remedy, status, detail, remedy)
	}
}

// newHost is a host where everything is right, with a config.toml like that of
// README.md.
func newHost(t *testing.T) (s *subject, config string) {
	t.Helper()
	s = newJob(t, "app").set("ECR_EXECUTOR_DIND_IMAGE=" + dindImage)
	config = filepath.Join(t.TempDir(), "config.toml")
	var text strings.Builder
	text.WriteString("[[runners]]\nname = \"ecr\"\nexecutor = \"custom\"\n[runners.custom]\n")
	for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
		text.WriteString(stage + "_exec = \"" + filepath.Join(binDir, stage) + "\"\n")
	}
	text.WriteString("prepare_exec_timeout = 1800\ncleanup_exec_timeout = 300\ngraceful_kill_timeout = 60\nforce_kill_timeout = 60\n")
	writeFile(t, config, text.String())
	return s, config
}

func TestDoctorWell(t *testing.T) {
	s, config := newHost(t)
	began := time.Now()
	found := doctor(t, s, nil, "--config", config)
	took := time.Since(began)
	for name, f := range found {
		switch {
		case name == "sidecar privileged" && f.Status == "note": // this machine may lack a capability
		case name == "engine disk" && f.Status == "note": // and have its engine elsewhere
		case f.Status != "ok":
			t.Errorf("%s: %s %s (%s)", name, f.Status, f.Detail, f.Remedy)
		}
	}
	found["aws identity"].expect(t, "ok", ecrtest.Principal, "")
	found["registry "+ecr.Host()].expect(t, "ok", "Amazon ECR", "")
	found["helper tools"].expect(t, "ok", "gitlab-runner-helper", "")
	found["runner ecr"].expect(t, "ok", "all four stages", "")
	if took > 10*time.Second { // two seconds, on a machine that has nothing else to do
		t.Errorf("it took %s", took)
	}
}

func TestDoctorText(t *testing.T) {
	s, config := newHost(t)
	code, stdout, stderr := runDoctor(t, s.Env, "--config", config)
	if code != 0 || stderr != "" || strings.Contains(stdout, "\x1b") || !strings.HasPrefix(stdout, "ok    settings ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = runDoctor(t, s.Env, "--config", config, "--registry", "registry.example.com")
	if code != 1 || !strings.Contains(stdout, "\nFAIL  registry registry.example.com  no credentials") || !strings.Contains(stdout, "\n      check its name") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := runDoctor(t, s.Env, "nonsense"); code != 2 || !strings.Contains(stderr, "nonsense") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

func TestDoctorFindings(t *testing.T) {
	s, config := newHost(t)
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "ECR_EXECUTOR_STATE_DIR="+filepath.Join(t.TempDir(), "file", "x")+"\n")
	tests := map[string]struct {
		env, args              []string
		check                  string
		status, detail, remedy string
		// gone is not checked then.
		gone string
	}{
		"no Docker": {
			env:   []string{"DOCKER_HOST=unix:///nowhere/docker.sock"},
			check: "docker", status: "fail", detail: "unix:///nowhere/docker.sock", remedy: "start Docker", gone: "helper image",
		},
		"bad DOCKER_HOST": {env: []string{"DOCKER_HOST=nonsense"}, check: "docker", status: "fail", detail: "nonsense", remedy: "DOCKER_HOST", gone: "docker access"},
		"unknown setting": {
			env:   []string{"ECR_EXECUTOR_HELPER_IMAGES=x", "ECR_EXECUTOR_CACHE=y"},
			check: "settings", status: "fail", detail: "ECR_EXECUTOR_CACHE, ECR_EXECUTOR_HELPER_IMAGES", remedy: "docs/configuration.md", gone: "state folder",
		},
		"state folder": {
			env:   []string{"ECR_EXECUTOR_STATE_DIR=" + filepath.Join(file, "x")},
			check: "state folder", status: "fail", detail: "not a directory", remedy: "install -d -m 0700",
		},
		"helper missing": {
			env:   []string{"ECR_EXECUTOR_HELPER_IMAGE=" + ecr.Host() + "/nowhere:v1"},
			check: "helper image", status: "fail", detail: "/nowhere:v1", remedy: "check that", gone: "helper tools",
		},
		"helper without tools": {
			env:   []string{"ECR_EXECUTOR_HELPER_IMAGE=" + dindImage},
			check: "helper tools", status: "fail", detail: "no git, neither", remedy: "GitLab's own",
		},
		"no credentials": {env: []string{"AWS_ACCESS_KEY_ID="}, check: "aws identity", status: "fail", detail: "sts:GetCallerIdentity", remedy: "instance profile"},
		"STS silent": {
			env:   []string{"AWS_ENDPOINT_URL_STS=http://127.0.0.1:1"},
			check: "aws identity", status: "note", detail: "not known", remedy: "jobs do without",
		},
		"another registry": {
			args:  []string{"--registry", "registry.example.com"},
			check: "registry registry.example.com", status: "fail", detail: "no credentials", remedy: "docker login",
		},
		"private image":  {args: []string{"--pull", ecr.Host() + "/user:v1"}, check: "pull " + ecr.Host() + "/user:v1", status: "ok", detail: "removed again"},
		"image missing":  {args: []string{"--pull", ecr.Host() + "/app:v9"}, check: "pull " + ecr.Host() + "/app:v9", status: "fail", detail: "/app:v9", remedy: "and this tag"},
		"config missing": {args: []string{"--config", "/nowhere/config.toml"}, check: "config.toml", status: "fail", detail: "/nowhere/config.toml", remedy: "--config"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			found := doctor(t, s, tt.env, append([]string{"--config", config}, tt.args...)...)
			found[tt.check].expect(t, tt.status, tt.detail, tt.remedy)
			if tt.gone != "" {
				found[tt.gone].expect(t, "note", "not checked: ", "")
			}
		})
	}
}

// Tokens that earlier jobs left do not hide that there are no new ones.
func TestDoctorAccessDenied(t *testing.T) {
	s, config := newHost(t)
	if code, output := stage(t, s, "prepare", nil); code != 0 {
		t.Fatal(output)
	}
	if code, output := stage(t, s, "cleanup", nil); code != 0 {
		t.Fatal(output)
	}
	ecr.FailAPI(&ecrtest.AccessDenied)
	defer ecr.FailAPI(nil)
	image := ecr.Host() + "/user:v1"
	found := doctor(t, s, nil, "--config", config, "--pull", image)
	found["registry "+ecr.Host()].expect(t, "fail", "arn:aws:sts::111122223333:assumed-role/ci/i-0abc", "allow ecr:GetAuthorizationToken")
	found["pull "+image].expect(t, "fail", "AccessDenied", "allow ecr:GetAuthorizationToken")
	found["aws identity"].expect(t, "ok", ecrtest.Principal, "")
}

// An image that was there before stays.
func TestDoctorPullPresent(t *testing.T) {
	s, config := newHost(t)
	image := ecr.Host() + "/tenant:v1"
	if out, err := exec.Command("docker", "tag", helperImage, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	doctor(t, s, nil, "--config", config, "--pull", image)["pull "+image].expect(t, "ok", "stays", "")
	if out, err := exec.Command("docker", "rmi", image).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// What is wrong with config.toml is told; a stranger's program is not run.
func TestDoctorConfig(t *testing.T) {
	s, config := newHost(t)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	script := filepath.Join(t.TempDir(), "cleanup")
	writeFile(t, script, "#!/bin/sh\ntouch "+mark+"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), filepath.Join(binDir, "cleanup"), script)
	changed = strings.ReplaceAll(changed, filepath.Join(binDir, "config"), filepath.Join(binDir, "run"))
	changed = strings.ReplaceAll(changed, filepath.Join(binDir, "prepare"), "/nowhere/prepare")
	writeFile(t, config, changed)
	f := doctor(t, s, nil, "--config", config)["runner ecr"]
	for _, want := range []string{"is the driver's run", "/nowhere/prepare: no such file", script + " is not this driver's"} {
		f.expect(t, "fail", want, "put the driver's prepare there")
	}
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the stranger's program was run")
	}
}
