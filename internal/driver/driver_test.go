package driver

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

func TestExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "code")
	codes := gitlab.NewEnviron([]string{"BUILD_FAILURE_EXIT_CODE=41", "SYSTEM_FAILURE_EXIT_CODE=42", "BUILD_EXIT_CODE_FILE=" + file}).ExitCodes()
	tests := map[string]struct {
		run  func() error
		code int
		says []string
		file string
	}{
		"success":       {func() error { return nil }, 0, nil, ""},
		"plain error":   {func() error { return errors.New("broken") }, 42, []string{"ERROR: broken"}, ""},
		"system":        {func() error { return failure.System(errors.New("x"), "do y") }, 42, []string{"ERROR: x", "next: do y"}, ""},
		"build":         {func() error { return failure.Build(errors.New("x"), "do y") }, 41, []string{"ERROR: x", "next: do y"}, ""},
		"script":        {func() error { return failure.Script(7) }, 41, nil, "7"},
		"a panic":       {func() error { panic("oh") }, 42, []string{"a defect of this program: oh"}, ""},
		"a nil pointer": {func() error { var c *Command; return errors.New(c.Name) }, 42, []string{"a defect of this program"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(file)
			var stdout, stderr bytes.Buffer
			command := Command{Name: "test", Run: func(context.Context, stages.Stage, []string) error { return tt.run() }}
			if code := command.main(nil, &stdout, &stderr, codes); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.says {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("says %q, want %q", stderr.String(), want)
				}
			}
			if saved, _ := os.ReadFile(file); string(saved) != tt.file || stdout.Len() > 0 {
				t.Errorf("file %q, want %q; stdout %q", saved, tt.file, stdout.String())
			}
		})
	}
}

func TestTermEndsTheStage(t *testing.T) {
	command := Command{Name: "test", Run: func(ctx context.Context, _ stages.Stage, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return failure.Build(errors.New("stopped"), "")
	}}
	var out bytes.Buffer
	if code := command.main(nil, &out, &out, gitlab.Environ{}.ExitCodes()); code != 1 {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

// Cleanup does its work whatever the settings are.
func TestBrokenSettings(t *testing.T) {
	t.Setenv("ECR_EXECUTOR_MEMORY", "plenty")
	for cleanup, wantCode := range map[bool]int{true: 0, false: 2} {
		ran := false
		command := Command{Name: "test", Cleanup: cleanup, Run: func(_ context.Context, stage stages.Stage, _ []string) error {
			ran = true
			stage.Log.Info("at work")
			return nil
		}}
		var stdout, stderr bytes.Buffer
		code := command.main(nil, &stdout, &stderr, gitlab.Environ{}.ExitCodes())
		if code != wantCode || ran != cleanup || !strings.Contains(stderr.String(), "ECR_EXECUTOR_MEMORY") || (cleanup && stdout.String() != "at work\n") {
			t.Errorf("cleanup %v: exit code %d, ran %v, stdout %q, stderr %q", cleanup, code, ran, stdout.String(), stderr.String())
		}
	}
}

func TestLogStreamsAndFormats(t *testing.T) {
	say := func(_ context.Context, stage stages.Stage, _ []string) error {
		stage.Log.Info("information")
		stage.Log.Warn("caution")
		stage.Log.Debug("detail")
		return nil
	}
	play := func(quiet bool, args ...string) (string, string) {
		var stdout, stderr bytes.Buffer
		if code := (Command{Name: "test", Cleanup: quiet, Run: say}).main(args, &stdout, &stderr, gitlab.Environ{}.ExitCodes()); code != 0 {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
		return stdout.String(), stderr.String()
	}
	if stdout, stderr := play(false); stdout != "" || stderr != "information\n"+yellow+"WARNING: caution"+reset+"\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	if stdout, stderr := play(true); stdout != "information\n" || strings.Contains(stderr, "information") || !strings.Contains(stderr, "caution") {
		t.Errorf("of cleanup: stdout %q, stderr %q", stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("ECR_EXECUTOR_LOG_LEVEL=debug\nECR_EXECUTOR_LOG_FORMAT=json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ECR_EXECUTOR_LOG_LEVEL", "error")
	t.Setenv("ECR_EXECUTOR_LOG_FORMAT", "text")
	if _, stderr := play(false, "--env-file", file); !strings.Contains(stderr, `"msg":"detail"`) {
		t.Errorf("settings of --env-file: %q", stderr)
	}
}
