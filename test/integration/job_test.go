package integration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

func mustSucceed(t *testing.T, s *subject) string {
	t.Helper()
	result, log := s.play(t)
	if result.Err != nil {
		t.Fatalf("the job failed: %v\n%s", result.Err, log)
	}
	return log
}

func TestPrivateImageWithSources(t *testing.T) {
	repo := gitRepository(t)
	job, err := replay.ReadJob("../../examples/private-image.yml", "")
	if err != nil {
		t.Fatal(err)
	}
	s := newJob(t, "app")
	s.Job, s.GitDir = job, repo
	s.Job.Image.PullPolicies = []string{"always"}
	s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present")
	s.Job.Variables["ECR_REGISTRY"], s.Job.Variables["IMAGE_TAG"] = ecr.Host(), "v1"
	s.Job.Variables["PRIVATE_ECR_IMAGE"] = "$ECR_REGISTRY/app:$IMAGE_TAG"
	s.Secrets = map[string]string{"PASSWORD": "hunter2-hunter2"}
	s.Job.Script = append(s.Job.Script, "cat committed.txt", "echo the password is $PASSWORD", "if grep -q 'hunter[2]' /proc/1/environ; then exit 9; fi")
	log := mustSucceed(t, s)
	expect(t, log, "credentials from Amazon ECR (eu-west-1)", "from a commit", "the password is [MASKED]",
		"AWS variables in the job: 0", "the job ended with success", "Prepared in", "Job succeeded")
	if strings.Contains(log, "hunter2") || strings.Contains(log, "tok-") {
		t.Errorf("a secret shows:\n%s", log)
	}
}

func gitRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "committed.txt"), []byte("from a commit\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
	return dir
}

func TestScriptExitCode(t *testing.T) {
	s := newJob(t, "app", "exit 42", "echo never")
	s.Job.AfterScript = []string{"echo after: $CI_JOB_STATUS"}
	result, log := s.play(t)
	var build *replay.BuildError
	if !errors.As(result.Err, &build) || build.ExitCode != 42 {
		t.Errorf("error = %v, want exit code 42", result.Err)
	}
	expect(t, log, "after: failed", "Job failed: exit code 42")
	if strings.Contains(log, "\nnever") {
		t.Error("the script went on after a failure")
	}
}

// The files of the script outside of the volumes are there for after_script,
// and what the checkout holds is there for the next job of the slot.
func TestFilesSurvive(t *testing.T) {
	s := newJob(t, "app", "echo one > /tmp/file", "echo two > kept")
	s.Job.AfterScript = []string{"cat /tmp/file"}
	expect(t, mustSucceed(t, s), "\none\n")
	next := newJob(t, "app", "cat kept")
	next.ProjectID = s.ProjectID
	expect(t, mustSucceed(t, next), "\ntwo\n")
}

func TestImageEntrypointIsHonoured(t *testing.T) {
	log := mustSucceed(t, newJob(t, "entrypoint", "echo entrypoint was $FROM_ENTRYPOINT"))
	expect(t, log, "entrypoint got sh", "entrypoint was set")

	overridden := newJob(t, "entrypoint", "echo entrypoint was ${FROM_ENTRYPOINT:-skipped}")
	overridden.Job.Image.Entrypoint = []string{""}
	expect(t, mustSucceed(t, overridden), "entrypoint was skipped")
}

func TestImageUserCanWrite(t *testing.T) {
	s := newJob(t, "user", "id -un", "touch new", "echo more >> committed.txt", "touch /cache/mine", "rm committed.txt")
	s.GitDir = gitRepository(t)
	expect(t, mustSucceed(t, s), "\napp\n")

	s = newJob(t, "app", "echo I am $(id -u)")
	s.Job.Image.Docker.User = "1000"
	expect(t, mustSucceed(t, s), "I am 1000")
}

func TestStdinIsEmpty(t *testing.T) {
	expect(t, mustSucceed(t, newJob(t, "app", "cat", "read line || echo no input", "[ -t 0 ] || echo no terminal")), "no input", "no terminal")
}

// 20 MB on each stream arrive whole and in order.
func TestLargeOutput(t *testing.T) {
	const count = 1_100_000
	s := newJob(t, "app", fmt.Sprintf(`awk 'BEGIN{for(i=0;i<%d;i++) printf "out %%014d\n", i}'`, count),
		fmt.Sprintf(`awk 'BEGIN{for(i=0;i<%d;i++) printf "err %%014d\n", i}' >&2`, count))
	log := mustSucceed(t, s)
	for _, stream := range []string{"out", "err"} {
		want, got := sha256.New(), sha256.New()
		for i := range count {
			fmt.Fprintf(want, "%s %014d\n", stream, i)
		}
		n := 0
		for line := range strings.Lines(log) {
			if strings.HasPrefix(line, stream+" 0") {
				n++
				got.Write([]byte(line))
			}
		}
		if n != count || string(got.Sum(nil)) != string(want.Sum(nil)) {
			t.Errorf("%s: %d of %d lines, or not in order", stream, n, count)
		}
	}
}

// A cancelled script gets TERM, its processes end, and after_script finds the
// container as the script left it.
func TestCancel(t *testing.T) {
	s := newJob(t, "app", "echo begun > /tmp/file", "trap '' TERM", "echo running", "sleep 600")
	s.Job.AfterScript = []string{"cat /tmp/file", "echo status $CI_JOB_STATUS", "ps | grep -c '[s]leep 600' || true"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(ctx, s.Options) }()
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "\nrunning\n") })
	cancelled := time.Now()
	cancel()
	result := <-done
	if !errors.Is(result.Err, context.Canceled) {
		t.Errorf("error = %v, want cancelled", result.Err)
	}
	if took := time.Since(cancelled); took > 25*time.Second {
		t.Errorf("cancelling took %s", took)
	}
	expect(t, s.log.String(), "\nbegun\n", "status canceled", "\n0\n")
	s.expectNothingLeft(t)
}

// TERM reaches what the script started, not the shell alone.
func TestCancelReachesChildren(t *testing.T) {
	s := newJob(t, "app", `sh -c 'trap "echo child got TERM; exit 0" TERM; echo running; while :; do sleep 1; done'`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(ctx, s.Options) }()
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "\nrunning\n") })
	cancelled := time.Now()
	cancel()
	<-done
	expect(t, s.log.String(), "\nchild got TERM\n")
	if took := time.Since(cancelled); took > 8*time.Second {
		t.Errorf("cancelling took %s although the script ended by itself", took)
	}
	s.expectNothingLeft(t)
}

func TestTimeout(t *testing.T) {
	s := newJob(t, "app", "sleep 600")
	s.Timeout = 4 * time.Second
	result, log := s.play(t)
	if !errors.Is(result.Err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want a timeout\n%s", result.Err, log)
	}
}

// waitFor polls until the condition holds.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatal("what the test waits for does not come")
		case <-tick.C:
		}
	}
}
