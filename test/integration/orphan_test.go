package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runnerShell returns a shell whose process is called gitlab-runner.
func runnerShell(t *testing.T) string {
	t.Helper()
	runner := filepath.Join(t.TempDir(), "gitlab-runner")
	binary, err := os.ReadFile("/bin/bash")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(runner, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return runner
}

// asRunner returns a command in which gitlab-runner runs a shell command line of
// the driver's binaries.
func asRunner(t *testing.T, s *subject, line string) *exec.Cmd {
	t.Helper()
	command := exec.Command(runnerShell(t), "-c", line+"; exit $?")
	command.Env = append(append(s.Env[:len(s.Env):len(s.Env)], env(s)...), "BIN="+binDir)
	return command
}

// A script whose stage was killed does not go on behind the next one.
func TestLastScriptIsEnded(t *testing.T) {
	s := prepared(t, "app")
	log := &syncBuffer{}
	first := exec.Command(filepath.Join(binDir, "run"), script(t, "echo running", "sleep 600"), "build_script")
	first.Env, first.Stdout, first.Stderr = append(s.Env, env(s)...), log, log
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.Contains(log.String(), "running") })
	_ = first.Process.Kill()
	_ = first.Wait()
	code, output := stage(t, s, "run", nil, script(t, "echo after"), "after_script")
	if code != 0 || !strings.Contains(output, "The last script still runs") || !strings.HasSuffix(output, "\nafter\n") {
		t.Errorf("after_script: exit code %d, %q", code, output)
	}
}

// When gitlab-runner is killed nobody calls cleanup: the stage that runs does
// its part.
func TestRunnerKilled(t *testing.T) {
	for name, call := range map[string]string{
		"directly": "$BIN/prepare && $BIN/run %s build_script",
		// The script that calls the driver outlives the runner.
		"behind a script": `sh -c '"$BIN/prepare" && "$BIN/run" %s build_script; exit $?'`,
	} {
		t.Run(name, func(t *testing.T) { killRunner(t, call) })
	}
}

func killRunner(t *testing.T, call string) {
	t.Helper()
	s := newJob(t, "app")
	log := &syncBuffer{}
	runner := asRunner(t, s, fmt.Sprintf(call, script(t, "echo running", "sleep 600")))
	runner.Stdout, runner.Stderr = log, log
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.Contains(log.String(), "running") })
	_ = runner.Process.Kill()
	_ = runner.Wait() // returns when the stage has closed the log: it has ended
	s.expectNothingLeft(t)
}

// What a job left whose runner and driver were killed together is removed by the
// next job, before it touches the sources.
func TestOrphansAreReaped(t *testing.T) {
	orphan, bystander := newJob(t, "app"), prepared(t, "app")
	if out, err := asRunner(t, orphan, "$BIN/prepare").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(lines("docker", "ps", "-aq", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(orphan.JobID))) == 0 {
		t.Fatal("the orphan has no containers")
	}
	prepared(t, "app")
	orphan.expectNothingLeft(t)
	if code, output := stage(t, bystander, "run", nil, script(t, "echo alive"), "build_script"); code != 0 || output != "alive\n" {
		t.Errorf("another job: exit code %d, %q", code, output)
	}
}
