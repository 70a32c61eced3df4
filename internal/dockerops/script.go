package dockerops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-units"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

var errConnectionLost = errors.New("the connection to the engine broke while the script ran")

const lostRemedy = "did the engine restart? see its log: journalctl -u docker"

// RunInContainer starts a created container, whose command reads script from
// stdin, and returns when it has ended: nil, or failure.Script with its exit
// code. The container stays and can run the next script; the files of the last
// one are still there. When ctx ends, the script's processes are stopped first.
func (e *Engine) RunInContainer(ctx context.Context, c plan.Container, script []byte, stdout, stderr io.Writer) error {
	// The stream must not end with ctx: what the script prints on its way out
	// belongs to the log.
	streamCtx, closeStream := context.WithCancel(context.WithoutCancel(ctx))
	defer closeStream()
	if err := e.endLastScript(ctx, c); err != nil {
		return err
	}
	attached, err := e.api.ContainerAttach(streamCtx, c.Name, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return e.judgeStart(err, c)
	}
	defer attached.Close()
	exited, waitFailed := e.api.ContainerWait(streamCtx, c.Name, container.WaitConditionNextExit)
	if err := e.api.ContainerStart(ctx, c.Name, container.StartOptions{}); err != nil {
		return e.judgeStart(err, c)
	}

	output := startStream(attached, script, stdout, stderr)
	if err := output.wait(ctx, func() { e.stopProcesses(c.Name, output.done, true) }); err != nil {
		if err := e.endLastScript(context.WithoutCancel(ctx), c); err != nil {
			e.log.Warn(err)
		}
		return failure.System(fmt.Errorf("container %s: %w: %w", c.Name, errConnectionLost, err), lostRemedy)
	}
	select {
	case end := <-exited:
		return e.scriptResult(ctx, c, int(end.StatusCode))
	case err := <-waitFailed:
		return failure.System(fmt.Errorf("container %s: %w: %w", c.Name, errConnectionLost, err), lostRemedy)
	}
}

// Exec runs command in a running container with script on its stdin, and
// returns like RunInContainer.
func (e *Engine) Exec(ctx context.Context, c plan.Container, command []string, script []byte, stdout, stderr io.Writer) error {
	created, err := e.api.ContainerExecCreate(ctx, c.Name, container.ExecOptions{
		Cmd: command, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return failure.System(fmt.Errorf("container %s is not running any more: %w", c.Name, err),
			"was it removed or killed while the job ran?")
	}
	if err != nil {
		return e.judge(fmt.Errorf("preparing to run in container %s: %w", c.Name, err))
	}
	streamCtx, closeStream := context.WithCancel(context.WithoutCancel(ctx))
	defer closeStream()
	attached, err := e.api.ContainerExecAttach(streamCtx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return e.judge(fmt.Errorf("running in container %s: %w", c.Name, err))
	}
	defer attached.Close()

	output := startStream(attached, script, stdout, stderr)
	if err := output.wait(ctx, func() { e.stopProcesses(c.Name, output.done, false) }); err != nil {
		if err := e.signalAll(context.WithoutCancel(ctx), c.Name, "KILL"); err != nil {
			e.log.Warn(err)
		}
		return failure.System(fmt.Errorf("container %s: %w: %w", c.Name, errConnectionLost, err), lostRemedy)
	}
	result, err := e.execResult(streamCtx, created.ID)
	if err != nil {
		return failure.System(fmt.Errorf("container %s: %w: %w", c.Name, errConnectionLost, err), lostRemedy)
	}
	return e.scriptResult(ctx, c, result)
}

// execResult returns the exit code of an exec whose output has ended. The
// engine closes the output a moment before it notes the exit code.
func (e *Engine) execResult(ctx context.Context, id string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		state, err := e.api.ContainerExecInspect(ctx, id)
		if err != nil {
			return 0, err
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("its exit code does not come: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// stream is the output of a script on its way.
type stream struct {
	done chan struct{} // closed at the end of the output
	err  error         // why it ended too early; to be read after done
}

// startStream sends script and copies the output until it ends.
func startStream(attached types.HijackedResponse, script []byte, stdout, stderr io.Writer) *stream {
	go func() {
		// A shell that ends before it has read everything closes its stdin:
		// its exit code tells, not this error.
		_, _ = io.Copy(attached.Conn, bytes.NewReader(script))
		_ = attached.CloseWrite()
	}()
	s := &stream{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, s.err = stdcopy.StdCopy(stdout, stderr, attached.Reader)
	}()
	return s
}

// wait returns when the output has ended; when ctx ends first it calls stop,
// once.
func (s *stream) wait(ctx context.Context, stop func()) error {
	select {
	case <-s.done:
	case <-ctx.Done():
		stop()
		<-s.done
	}
	return s.err
}

// scriptResult turns an exit code into the error it means.
func (e *Engine) scriptResult(ctx context.Context, c plan.Container, code int) error {
	if ctx.Err() != nil {
		return failure.Build(fmt.Errorf("the script was stopped: %w", context.Cause(ctx)), "")
	}
	const killed = 137
	if code == killed {
		if state, err := e.api.ContainerInspect(ctx, c.Name); err == nil && state.State != nil && state.State.OOMKilled {
			limit := ""
			if c.Memory > 0 {
				limit = fmt.Sprintf(" (the limit is %s)", units.BytesSize(float64(c.Memory)))
			}
			e.log.Warnf("The script ran out of memory%s", limit)
		}
	}
	if code != 0 {
		return failure.Script(code)
	}
	return nil
}
