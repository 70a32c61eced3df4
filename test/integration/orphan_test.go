package integration

import (
	"bufio"
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
	const direct = "$BIN/prepare && $BIN/run %s build_script"
	for name, tt := range map[string]struct{ call, script string }{
		"directly": {direct, "sleep 600"},
		// The script that calls the driver outlives the runner.
		"behind a script": {`sh -c '"$BIN/prepare" && "$BIN/run" %s build_script; exit $?'`, "sleep 600"},
		"that prints":     {direct, "while :; do echo on and on; sleep 0.01; done"},
		"in the helper":   {"$BIN/prepare && $BIN/run %s get_sources", "while :; do echo on and on; sleep 0.01; done"},
	} {
		t.Run(name, func(t *testing.T) { killRunner(t, tt.call, tt.script) })
	}
}

// killRunner kills a runner and its end of the log.
func killRunner(t *testing.T, call, body string) {
	t.Helper()
	s := newJob(t, "app")
	runner := asRunner(t, s, fmt.Sprintf(call, script(t, "echo running", body)))
	logRead, logWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	runner.Stdout, runner.Stderr = logWrite, logWrite
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	_ = logWrite.Close()
	log := bufio.NewScanner(logRead)
	for log.Scan() && log.Text() != "running" {
	}
	if log.Text() != "running" {
		t.Fatal("the script does not run")
	}
	_ = runner.Process.Kill()
	_ = runner.Wait()
	_ = logRead.Close()
	waitFor(t, func() bool {
		return len(lines("docker", "ps", "-aq", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(s.JobID))) == 0
	})
	waitFor(t, func() bool { // they go after the containers
		return len(lines("docker", "network", "ls", "-q", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(s.JobID))) == 0
	})
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
