package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The exit codes that GitLab Runner gives to a driver
// (gitlab-runner executors/custom/command).
const (
	buildFailureExitCode  = 1
	systemFailureExitCode = 2
)

// BuildError is a failure of the job: it is final. Every other error of a stage
// is a system failure.
type BuildError struct{ ExitCode int }

func (e *BuildError) Error() string { return fmt.Sprintf("exit code %d", e.ExitCode) }

// StageResult tells of one process of the driver.
type StageResult struct {
	Name     string // config, prepare, cleanup, or the stage that run ran
	Duration time.Duration
	CPU      time.Duration
	MaxRSS   int64 // bytes
	ExitCode int
}

// call runs one binary of the driver and reads its exit code as GitLab Runner
// does.
func (r *run) call(ctx context.Context, name, binary string, args []string, stdout, stderr io.Writer) error {
	if r.opts.EnvFile != "" {
		args = append([]string{"--env-file", r.opts.EnvFile}, args...)
	}
	codeFile := filepath.Join(r.tempDir, "build_exit_code")
	command := exec.Command(filepath.Join(r.opts.BinDir, binary), args...)
	command.Dir = r.tempDir
	command.Stdout, command.Stderr = stdout, stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Env = r.opts.Env
	if command.Env == nil {
		command.Env = os.Environ()
	}
	command.Env = append(command.Env[:len(command.Env):len(command.Env)],
		"TMPDIR="+r.tempDir,
		"BUILD_FAILURE_EXIT_CODE="+strconv.Itoa(buildFailureExitCode),
		"SYSTEM_FAILURE_EXIT_CODE="+strconv.Itoa(systemFailureExitCode),
		"BUILD_EXIT_CODE_FILE="+codeFile,
		"JOB_RESPONSE_FILE="+filepath.Join(r.tempDir, "response.json"),
	)
	for key, value := range r.jobEnv {
		command.Env = append(command.Env, key+"="+value)
	}
	for _, v := range r.variables() {
		command.Env = append(command.Env, "CUSTOM_ENV_"+v.Key+"="+v.Value)
	}

	start := time.Now()
	if err := command.Start(); err != nil {
		return fmt.Errorf("failed to start command: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	err, killed := r.await(ctx, command.Process.Pid, done)
	if state := command.ProcessState; state != nil {
		result := StageResult{Name: name, Duration: time.Since(start), CPU: state.UserTime() + state.SystemTime(), ExitCode: state.ExitCode()}
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			result.MaxRSS = usage.Maxrss * 1024
		}
		r.result.Stages = append(r.result.Stages, result)
	}
	if killed {
		return ctx.Err()
	}
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return err
	case exit.ExitCode() == buildFailureExitCode:
		return readBuildFailure(codeFile)
	case exit.ExitCode() == systemFailureExitCode:
		return err
	default:
		return fmt.Errorf("unknown Custom executor executable exit code %d; executable execution terminated with: %w", exit.ExitCode(), err)
	}
}

// await waits for a process. When ctx ends first, its group gets TERM, and KILL
// when it takes too long.
func (r *run) await(ctx context.Context, pid int, done <-chan error) (err error, killed bool) {
	select {
	case err := <-done:
		return err, false
	case <-ctx.Done():
	}
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	grace := time.NewTimer(r.opts.GracefulKillTimeout)
	defer grace.Stop()
	select {
	case err := <-done:
		return err, true
	case <-grace.C:
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	return <-done, true
}

func readBuildFailure(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return &BuildError{ExitCode: buildFailureExitCode}
	}
	first, _, _ := strings.Cut(string(data), "\n")
	code, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("the driver wrote %q into BUILD_EXIT_CODE_FILE, which is no number", first)
	}
	return &BuildError{ExitCode: code}
}
