package dockerops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// NotReadyError says why a service is not ready.
type NotReadyError struct {
	Err error
	// Log are the last lines that the service printed.
	Log string
}

// Error ends with the log.
func (e *NotReadyError) Error() string {
	if strings.TrimSpace(e.Log) == "" {
		return e.Err.Error() + "; it printed nothing"
	}
	return e.Err.Error() + "; the end of its log:\n  " + strings.ReplaceAll(strings.TrimSpace(e.Log), "\n", "\n  ")
}

func (e *NotReadyError) Unwrap() error { return e.Err }

var errNotInTime = errors.New("it was not ready in time")

// whileRunning calls ready, which returns when the container is ready, and ends
// it when the container ends first or the time is over. Its error is
// *NotReadyError, or that of ctx.
func (e *Engine) whileRunning(ctx context.Context, c plan.Container, timeout time.Duration, ready func(ctx context.Context) error) error {
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	readyErr := make(chan error, 1)
	ended, waitFailed := e.api.ContainerWait(waitCtx, c.Name, container.WaitConditionNotRunning)
	go func() { readyErr <- ready(waitCtx) }()

	var err error
	select {
	case err = <-readyErr:
		if err == nil {
			return nil
		}
		// What runs in a container ends with it: the container's end is the
		// cause then, and is known a moment later.
		select {
		case end := <-ended:
			err = fmt.Errorf("it ended with exit code %d", end.StatusCode)
		case <-time.After(time.Second):
		case <-waitCtx.Done():
		}
	case end := <-ended:
		err = fmt.Errorf("it ended with exit code %d", end.StatusCode)
	case err = <-waitFailed:
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waitCtx.Err() != nil:
		err = fmt.Errorf("%w (%s)", errNotInTime, timeout)
	}
	return &NotReadyError{Err: err, Log: e.lastLines(ctx, c.Name)}
}

// lastLines returns the end of what a container printed.
func (e *Engine) lastLines(ctx context.Context, name string) string {
	const lines = 20
	logs, err := e.api.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer logs.Close()
	var both bytes.Buffer
	if _, err := stdcopy.StdCopy(&both, &both, logs); err != nil {
		fmt.Fprintf(&both, "(the log breaks off: %v)", err)
	}
	return both.String()
}

// WaitForService returns when a service is ready: by its HEALTHCHECK, or else
// when one of the ports that its image exposes is open to helper. A service
// with neither is ready at once. It returns like whileRunning.
func (e *Engine) WaitForService(ctx context.Context, s plan.Service, image plan.LocalImage, helper plan.Container, timeout time.Duration) error {
	switch {
	case image.Healthcheck:
		return e.whileRunning(ctx, s.Container, timeout, func(ctx context.Context) error { return e.healthy(ctx, s.Name) })
	case len(image.Ports) > 0:
		words := []string{"sh", "-c", portScript, "wait", strconv.Itoa(int(timeout.Seconds())), s.Name}
		for _, port := range image.Ports {
			words = append(words, strconv.Itoa(port))
		}
		return e.whileRunning(ctx, s.Container, timeout, func(ctx context.Context) error { return e.succeed(ctx, helper.Name, words...) })
	}
	return nil
}

// portScript waits until host $2 answers on one of the ports behind it, $1
// seconds at most.
const portScript = `end=$(($(date +%s) + $1)) host=$2
shift 2
while [ "$(date +%s)" -le "$end" ]; do
  for port; do
    if command -v bash >/dev/null; then bash -c "exec 3<>/dev/tcp/$host/$port" 2>/dev/null && exit 0
    else nc -z -w 1 "$host" "$port" 2>/dev/null && exit 0; fi
  done
  sleep 0.1
done
exit 1
`

// succeed runs a command in a container and turns an exit code into an error.
func (e *Engine) succeed(ctx context.Context, name string, words ...string) error {
	output, code, err := e.command(ctx, name, words...)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, output)
	}
	return err
}

func (e *Engine) healthy(ctx context.Context, name string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := e.api.ContainerInspect(ctx, name)
		if err != nil {
			return err
		}
		if health := state.State.Health; health != nil {
			if health.Status == container.Healthy {
				return nil
			}
			// It may still become healthy: its patience is not ours.
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
