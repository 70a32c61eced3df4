package dockerops

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// stopProcesses ends what a script started: TERM to every process, and KILL to
// what is left when the grace is over. done is closed when the script's output
// has ended. A container whose own process is the script (own) is stopped, not
// removed: the next script finds its files.
func (e *Engine) stopProcesses(name string, done <-chan struct{}, own bool) {
	// The stage's own context has ended already.
	ctx, cancel := context.WithTimeout(context.Background(), e.stopGrace+30*time.Second)
	defer cancel()

	e.log.Infof("Stopping the script, its processes have %s to end ...", e.stopGrace)
	if err := e.signalAll(ctx, name, "TERM"); err != nil {
		e.log.Debugf("Container %s: %v", name, err) // ended in between, most likely
	}
	grace := time.NewTimer(e.stopGrace)
	defer grace.Stop()
	select {
	case <-done:
		return
	case <-grace.C:
	}
	var err error
	if own {
		err = e.api.ContainerKill(ctx, name, "KILL")
	} else {
		err = e.signalAll(ctx, name, "KILL")
	}
	if err != nil {
		e.log.Warnf("Stopping the script in container %s: %v", name, err)
	}
}

// endLastScript kills a script that still runs in the container, because the
// stage that started it was killed or lost its connection: who attached to it
// would take its output for that of the next script.
func (e *Engine) endLastScript(ctx context.Context, c plan.Container) error {
	info, err := e.api.ContainerInspect(ctx, c.Name)
	if err != nil || info.State == nil || !info.State.Running {
		return nil // what is wrong shows when attaching
	}
	e.log.Warn("The last script still runs: stopping it ...")
	ended, waitFailed := e.api.ContainerWait(ctx, c.Name, container.WaitConditionNotRunning)
	if err := e.api.ContainerKill(ctx, c.Name, "KILL"); err != nil && !errdefs.IsConflict(err) {
		return e.judge(fmt.Errorf("stopping the last script in container %s: %w", c.Name, err))
	}
	select {
	case <-ended:
		return nil
	case err := <-waitFailed:
		return e.judge(fmt.Errorf("waiting for the end of the last script in container %s: %w", c.Name, err))
	}
}

// signalAll sends a signal to every process of a container but its first: a
// shell does not pass signals on to what it waits for.
func (e *Engine) signalAll(ctx context.Context, name, signal string) error {
	created, err := e.api.ContainerExecCreate(ctx, name, container.ExecOptions{
		User: "0", Cmd: []string{"sh", "-c", "kill -" + signal + " -1"},
	})
	if err == nil {
		err = e.api.ContainerExecStart(ctx, created.ID, container.ExecStartOptions{Detach: true})
	}
	if err != nil {
		return fmt.Errorf("sending %s to the processes: %w", signal, err)
	}
	return nil
}
