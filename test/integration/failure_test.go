package integration

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// GitLab Runner's codes, as a test would see a typo in the driver's.
const (
	buildFailure  = 1
	systemFailure = 2
)

// Mistakes of users end with a message that says what, on what and what next,
// and with the code that decides whether GitLab Runner tries again.
func TestMistakes(t *testing.T) {
	tests := map[string]struct {
		image   string
		arrange func(t *testing.T, s *subject)
		stage   string
		want    []int
		says    []string
	}{
		"image missing": {
			image: "nowhere", stage: "prepare", want: []int{buildFailure},
			says: []string{"job image", "/nowhere:v1", "next: check that", "repository nowhere"},
		},
		"tag missing": {
			image: "app", stage: "prepare", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) { s.Job.Image.Name = ecr.Host() + "/app:v2" },
			says:    []string{"/app:v2", "and this tag"},
		},
		"repository forbidden": {
			image: "forbidden", stage: "prepare", want: []int{buildFailure},
			arrange: func(*testing.T, *subject) { ecr.Deny("forbidden") },
			says:    []string{"Amazon ECR (eu-west-1) may not pull forbidden", "ecr:BatchGetImage"},
		},
		"registry without credentials": {
			image: "app", stage: "prepare", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) {
				s.set("ECR_EXECUTOR_ECR_HOSTS=")
				s.Job.Image.Name = ecr.Host() + "/other:v1"
			},
			says: []string{"the pull was anonymous", ecr.Host()},
		},
		"image without a shell": {
			image: "noshell", stage: "build_script", want: []int{buildFailure},
			says: []string{"noshell:v1", "a job's image needs a shell"},
		},
		"entrypoint that does not exist": {
			image: "app", stage: "build_script", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) { s.Job.Image.Entrypoint = []string{"/no/such"} },
			says:    []string{"/no/such", "override `entrypoint`"},
		},
		"user that does not exist": {
			image: "app", stage: "build_script", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) { s.Job.Image.Docker.User = "nobody-here" },
			says:    []string{"nobody-here", "no such user"},
		},
		"never pulled": {
			image: "app", stage: "prepare", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) {
				s.Job.Image.Name, s.Job.Image.PullPolicies = ecr.Host()+"/absent:v1", []string{"never"}
				s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=never,if-not-present")
			},
			says: []string{"the pull policy is never"},
		},
		"unset variable in the image": {
			image: "app", stage: "config", want: []int{buildFailure},
			arrange: func(_ *testing.T, s *subject) { s.Job.Image.Name = "$NOWHERE/app" },
			says:    []string{`"$NOWHERE/app"`, "set NOWHERE"},
		},
		"no Docker daemon": {
			image: "app", stage: "prepare", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(_ *testing.T, s *subject) { s.set("DOCKER_HOST=unix:///nowhere.sock") },
			says:    []string{"start Docker on unix:///nowhere.sock", "Will be retried"},
		},
		"malformed DOCKER_HOST": {
			image: "app", stage: "prepare", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(_ *testing.T, s *subject) { s.set("DOCKER_HOST=nonsense") },
			says:    []string{`DOCKER_HOST="nonsense"`, "check DOCKER_HOST"},
		},
		"no AWS credentials": {
			image: "uncached1", stage: "prepare", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(_ *testing.T, s *subject) { s.set("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=") },
			says:    []string{"no AWS credentials", "instance profile", "ecr:GetAuthorizationToken"},
		},
		"ECR AccessDenied": {
			image: "uncached2", stage: "prepare", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(t *testing.T, _ *subject) {
				ecr.FailAPI(&ecrtest.AccessDenied)
				t.Cleanup(func() { ecr.FailAPI(nil) })
			},
			says: []string{"AccessDeniedException", "arn:aws:sts::111122223333:assumed-role/ci/i-0abc", "ecr:GetAuthorizationToken"},
		},
		"unknown setting": {
			image: "app", stage: "config", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(_ *testing.T, s *subject) { s.set("ECR_EXECUTOR_PULL_POLICIES=always") },
			says:    []string{"ECR_EXECUTOR_PULL_POLICIES", "docs/configuration.md"},
		},
		"malformed setting": {
			image: "app", stage: "config", want: []int{systemFailure, systemFailure, systemFailure},
			arrange: func(_ *testing.T, s *subject) { s.set("ECR_EXECUTOR_MEMORY=plenty") },
			says:    []string{`ECR_EXECUTOR_MEMORY="plenty"`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newJob(t, tt.image, "echo never run")
			if tt.arrange != nil {
				tt.arrange(t, s)
			}
			result, log := s.play(t)
			if codes := exitCodes(result, tt.stage); !slices.Equal(codes, tt.want) {
				t.Errorf("%s exited with %v, want %v", tt.stage, codes, tt.want)
			}
			var build *replay.BuildError
			if result.Err == nil || errors.As(result.Err, &build) != (tt.want[0] == buildFailure) {
				t.Errorf("the job ended with %v", result.Err)
			}
			expect(t, log, tt.says...)
			if strings.Contains(log, "\nnever run") || strings.Contains(log, ecrtest.SecretKey) {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// A state folder that cannot be written costs a warning, not the job.
func TestStateDirNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newJob(t, "app", "echo still fine")
	s.Job.Image.PullPolicies = []string{"always"}
	s.set("ECR_EXECUTOR_STATE_DIR="+file, "ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present")
	expect(t, mustSucceed(t, s), "WARNING", "ECR_EXECUTOR_STATE_DIR", "still fine")
}

// Passing faults of the registry are tried again, beyond what the engine itself
// tries.
func TestPullIsTriedAgain(t *testing.T) {
	s := newJob(t, "retried", "echo pulled in the end")
	ecr.FailManifests(&ecrtest.Fault{Status: 503, Code: "UNAVAILABLE", Message: "come back later"})
	t.Cleanup(func() { ecr.FailManifests(nil) })
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(t.Context(), s.Options) }()
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "trying again") })
	ecr.FailManifests(nil)
	if result := <-done; result.Err != nil {
		t.Errorf("the job failed: %v", result.Err)
	}
	expect(t, s.log.String(), "trying again in 1s (2 of 3)", "pulled in the end")
	s.expectNothingLeft(t)
}

func TestPullPolicies(t *testing.T) {
	s := newJob(t, "app", "true").set("ECR_EXECUTOR_PULL_POLICY=always,if-not-present")
	log := mustSucceed(t, s) // the helper image is in no registry
	expect(t, log, "Pulling job image", `Trying pull policy "if-not-present" for helper image`)

	s = newJob(t, "app", "true")
	s.Job.Image.PullPolicies = []string{"never"}
	s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=never,if-not-present")
	expect(t, mustSucceed(t, s), "pull policy never")
}

// stage calls one binary by hand, as GitLab Runner would for job.
func stage(t *testing.T, s *subject, binary string, more []string, args ...string) (code int, output string) {
	t.Helper()
	command := exec.Command(filepath.Join(binDir, binary), args...)
	command.Env = append(append(s.Env[:len(s.Env):len(s.Env)], env(s)...), "BUILD_FAILURE_EXIT_CODE=41", "SYSTEM_FAILURE_EXIT_CODE=42")
	command.Env = append(command.Env, more...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String()
}

func TestWrongCalls(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "response.json")
	if err := os.WriteFile(broken, []byte(`{"id": `), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		binary string
		env    []string
		args   []string
		code   int
		says   string
	}{
		"broken job response":   {"config", []string{"JOB_RESPONSE_FILE=" + broken}, nil, 42, "JOB_RESPONSE_FILE"},
		"no job":                {"prepare", []string{"CUSTOM_ENV_CI_JOB_ID="}, nil, 42, "called by GitLab Runner"},
		"no arguments":          {"run", nil, nil, 42, "run takes 2 arguments"},
		"unknown flag":          {"run", nil, []string{"--nonsense"}, 42, "nonsense"},
		"script missing":        {"run", nil, []string{"/nowhere/script", "build_script"}, 42, "/nowhere/script"},
		"env file missing":      {"cleanup", nil, []string{"--env-file", "/nowhere/env"}, 42, "/nowhere/env"},
		"version":               {"prepare", nil, []string{"--version"}, 0, "gitlab-ecr-executor"},
		"help":                  {"run", nil, []string{"--help"}, 0, "SCRIPT STAGE"},
		"cleanup by variables":  {"cleanup", []string{"JOB_RESPONSE_FILE=" + broken}, nil, 0, "Removed"},
		"helper is not running": {"run", nil, []string{"/dev/null", "get_sources"}, 42, "not running any more"},
		"no job container":      {"run", nil, []string{"/dev/null", "build_script"}, 42, "the container is gone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, output := stage(t, newJob(t, "app"), tt.binary, tt.env, tt.args...)
			if code != tt.code || !strings.Contains(output, tt.says) {
				t.Errorf("%s %q exited with %d, want %d, and said %q, want %q", tt.binary, tt.args, code, tt.code, output, tt.says)
			}
		})
	}
}
