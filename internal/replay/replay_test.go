package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// stubBin makes a driver whose binaries are a shell script: it notes its calls
// in the file calls, and plays what behaviour says.
func stubBin(t *testing.T, behaviour string) (binDir, calls string) {
	t.Helper()
	binDir = t.TempDir()
	calls = filepath.Join(binDir, "calls")
	script := `#!/bin/bash
stage=${0##*/}; [ $stage = run ] && stage=${@: -1}
echo "$stage $CUSTOM_ENV_CI_JOB_STATUS $CUSTOM_ENV_CI_PROJECT_DIR $FROM_CONFIG $CUSTOM_ENV_NESTED" >> ` + calls + `
` + behaviour + `
[ $stage = config ] && echo '{"builds_dir": "/b", "cache_dir": "/c", "driver": {"name": "stub", "version": "1"}, "job_env": {"FROM_CONFIG": "yes"}}'
exit 0
`
	for _, name := range []string{"config", "prepare", "run", "cleanup"} {
		if err := os.WriteFile(filepath.Join(binDir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return binDir, calls
}

func play(t *testing.T, ctx context.Context, behaviour string, change func(*Options)) (Result, string, []string) {
	t.Helper()
	opts := DefaultOptions()
	opts.Job = Job{Name: "j", Script: []string{"x"}, AfterScript: []string{"y"}, Variables: map[string]string{"NESTED": "$INNER", "INNER": "deep"}}
	opts.RetryInterval = time.Millisecond
	var log bytes.Buffer
	opts.Log = &log
	var calls string
	opts.BinDir, calls = stubBin(t, behaviour)
	if change != nil {
		change(&opts)
	}
	result := Run(ctx, opts)
	data, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	return result, log.String(), strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestOrderAndEnvironment(t *testing.T) {
	result, log, calls := play(t, t.Context(), "", nil)
	if result.Err != nil {
		t.Fatalf("%v\n%s", result.Err, log)
	}
	want := []string{
		"config running   deep",
		"prepare running /b/replay/project yes deep",
		"prepare_script running /b/replay/project yes deep",
		"get_sources running /b/replay/project yes deep",
		"build_script running /b/replay/project yes deep",
		"after_script success /b/replay/project yes deep",
		"cleanup_file_variables success /b/replay/project yes deep",
		"cleanup success /b/replay/project yes deep",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("calls:\n%s\nwant:\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(log, "Using Custom executor with driver stub 1...") || !strings.Contains(log, "Job succeeded") {
		t.Errorf("log:\n%s", log)
	}
}

func TestExitCodesAreReadAsTheRunnerDoes(t *testing.T) {
	tests := map[string]struct {
		behaviour string
		code      int // of a BuildError; 0 for a system failure
		says      string
	}{
		"build failure":      {`[ $stage = build_script ] && exit $BUILD_FAILURE_EXIT_CODE`, 1, "Job failed: exit code 1"},
		"with a code":        {`[ $stage = build_script ] && { echo 7 > $BUILD_EXIT_CODE_FILE; exit 1; }`, 7, "Job failed: exit code 7"},
		"garbage in file":    {`[ $stage = build_script ] && { echo x7 > $BUILD_EXIT_CODE_FILE; exit 1; }`, 0, `wrote "x7"`},
		"system failure":     {`[ $stage = build_script ] && exit $SYSTEM_FAILURE_EXIT_CODE`, 0, "system failure"},
		"unknown code":       {`[ $stage = build_script ] && exit 7`, 0, "unknown Custom executor executable exit code 7"},
		"prepare's build":    {`[ $stage = prepare ] && exit 1`, 1, "Job failed: exit code 1"},
		"config not JSON":    {`[ $stage = config ] && { echo nonsense; exit 0; }`, 0, "error while parsing JSON output"},
		"config says little": {`[ $stage = config ] && { echo '{}'; exit 0; }`, 0, "no builds_dir"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			result, log, calls := play(t, t.Context(), tt.behaviour, nil)
			var build *BuildError
			switch {
			case result.Err == nil:
				t.Error("the job succeeded")
			case errors.As(result.Err, &build) != (tt.code != 0), build != nil && build.ExitCode != tt.code:
				t.Errorf("error = %v, want code %d", result.Err, tt.code)
			}
			if !strings.Contains(log, tt.says) {
				t.Errorf("the log lacks %q:\n%s", tt.says, log)
			}
			if last := calls[len(calls)-1]; !strings.HasPrefix(last, "cleanup ") {
				t.Errorf("the last call is %q, want cleanup", last)
			}
		})
	}
}

func TestPreparationIsRetried(t *testing.T) {
	_, _, calls := play(t, t.Context(), `[ $stage = prepare ] && exit 2`, nil)
	var stages []string
	for _, call := range calls {
		stages = append(stages, strings.Fields(call)[0])
	}
	once := []string{"config", "prepare", "cleanup"}
	if want := slices.Concat(once, once, once); !slices.Equal(stages, want) {
		t.Errorf("stages = %q, want %q", stages, want)
	}
	_, _, calls = play(t, t.Context(), `[ $stage = prepare ] && exit 1`, nil)
	if len(calls) != 3 {
		t.Errorf("after a build failure: %q, want one try", calls)
	}
}

func TestTermThenKill(t *testing.T) {
	// Deaf to TERM, as is what it starts; dies of KILL to its group.
	result, log, _ := play(t, t.Context(), `[ $stage = build_script ] && { trap '' TERM; sleep 600; }`, func(o *Options) {
		o.Timeout = time.Second
		o.GracefulKillTimeout = 50 * time.Millisecond
	})
	if !errors.Is(result.Err, context.DeadlineExceeded) || !strings.Contains(log, "longer than its timeout") {
		t.Errorf("error = %v\n%s", result.Err, log)
	}
	for _, stage := range result.Stages {
		if stage.Name == "build_script" && stage.ExitCode != -1 {
			t.Errorf("exit code %d, want death by a signal", stage.ExitCode)
		}
	}
}

func TestCancelStillRunsAfterScript(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, _, calls := play(t, ctx, `[ $stage = build_script ] && { trap 'exit 2' TERM; sleep 600 & wait; }`, func(o *Options) {
		o.OnStage = func(name string) {
			if name == "build_script" {
				time.AfterFunc(200*time.Millisecond, cancel)
			}
		}
	})
	if !slices.ContainsFunc(calls, func(call string) bool { return strings.HasPrefix(call, "after_script canceled ") }) {
		t.Errorf("calls = %q, want after_script with canceled", calls)
	}
}

func TestMasker(t *testing.T) {
	secrets := []string{"hunter2", "hunter2-long", "aab"}
	text := "say hunter2, hunter2-long and aaab; hunt no more hunter"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		m := newMasker(&out, secrets)
		for chunk := range slices.Chunk([]byte(text), size) {
			if n, err := m.Write(chunk); n != len(chunk) || err != nil {
				t.Fatal(n, err)
			}
		}
		m.flush()
		if got := out.String(); strings.Contains(got, "hunter2") || strings.Contains(got, "aab") || !strings.HasSuffix(got, "; hunt no more hunter") {
			t.Errorf("in writes of %d: %q", size, got)
		}
	}
}

// Whatever a variable or a command holds, the shells of job images read it as
// it was written.
func TestScriptsQuote(t *testing.T) {
	values := []string{"", "plain", "it's", `"quoted"`, "$HOME `id` $(id)", `back\slash\n`, "two\nlines\n", "héllo ☃", "-n", "EOF\nBUNDLE", "*", "a=b; c"}
	var vars []variable
	check := "cd /"
	for i, value := range values {
		key := fmt.Sprintf("V%d", i)
		vars = append(vars, variable{Key: key, Value: value})
		check += fmt.Sprintf("\nprintf '%%s|' \"$%s\"", key)
	}
	vars = append(vars, variable{Key: "FILE", Value: "it's\ncontent", File: true})
	dir := filepath.Join(t.TempDir(), "pro'ject")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	script := userScript(vars, dir, []string{check, `cat "$FILE"`})
	for _, shell := range [][]string{{"bash"}, {"/bin/busybox", "ash"}, {"dash"}} {
		command := exec.Command(shell[0], shell[1:]...)
		command.Stdin = strings.NewReader(script)
		out, err := command.Output()
		if err != nil {
			t.Errorf("%s: %v", shell, err)
			continue
		}
		if want := strings.Join(values, "|") + "|"; !strings.Contains(string(out), want) || !strings.HasSuffix(string(out), "it's\ncontent") {
			t.Errorf("%s printed %q, want %q", shell, out, want)
		}
	}
	failing := exec.Command("bash")
	failing.Stdin = strings.NewReader(userScript(nil, dir, []string{"false", "echo never"}))
	if out, err := failing.Output(); err == nil || strings.Contains(string(out), "\nnever") {
		t.Errorf("a failing command does not end the script: %q, %v", out, err)
	}
}
