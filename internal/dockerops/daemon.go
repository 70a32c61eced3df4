package dockerops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// CreateDaemon creates the container of a DinD sidecar and returns it as it is
// named and mounted in the end. cached says that it has the cache.
//
// The cache's lease is the container's name: the engine gives it to one
// container at a time, and takes it back when that is removed. A daemon whose
// cache another job has begins with none.
func (e *Engine) CreateDaemon(ctx context.Context, s plan.Service, image plan.LocalImage) (c plan.Container, cached bool, err error) {
	if c, err = s.For(image); err != nil {
		return c, false, err
	}
	if s.Daemon.Cache != "" {
		leased := c
		leased.Name = s.Daemon.Cache
		leased.Mounts = append(c.Mounts[:len(c.Mounts):len(c.Mounts)], s.Daemon.CacheMount())
		err := e.CreateContainer(ctx, leased, image)
		if !errors.Is(err, errTaken) {
			return leased, true, err
		}
		e.log.Infof("The cache of this project's Docker daemon is in use by another job: beginning without")
	}
	c.Mounts = append(c.Mounts[:len(c.Mounts):len(c.Mounts)], s.Daemon.Data)
	return c, false, e.CreateContainer(ctx, c, image)
}

// DiscardCache removes the job's sidecar and the cache that it had.
func (e *Engine) DiscardCache(ctx context.Context, s plan.Service) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	holder, err := e.api.ContainerInspect(ctx, s.Daemon.Cache)
	if err != nil {
		return e.judge(fmt.Errorf("removing the cache of the sidecar: %w", err))
	}
	if holder.Config.Labels[plan.LabelJob] != s.Labels[plan.LabelJob] {
		return fmt.Errorf("removing the cache of the sidecar: %w", errTaken)
	}
	if err := e.removeContainer(ctx, holder.ID); err != nil {
		return err
	}
	return e.removeVolume(ctx, s.Daemon.Cache)
}

// WaitForDaemon returns the version of a sidecar's daemon when it answers. A
// daemon that ends, or does not answer in time, is a system failure with the
// last lines of its log.
func (e *Engine) WaitForDaemon(ctx context.Context, c plan.Container, d *plan.Daemon, timeout time.Duration) (version string, err error) {
	socket := d.Socket
	if socket == "" {
		socket = "/var/run/docker.sock"
	}
	err = e.whileRunning(ctx, c, timeout, func(ctx context.Context) error {
		output, code, err := e.command(ctx, c.Name, "sh", "-c", pingScript, "ping", socket)
		if err == nil && code != 0 {
			err = fmt.Errorf("asking the daemon for its version: exit code %d: %s", code, output)
		}
		version = output
		return err
	})
	var notReady *NotReadyError
	if errors.As(err, &notReady) {
		return "", failure.System(
			fmt.Errorf("the Docker daemon of the job (%s, %s) is not up: %w", c.Image.Familiar(), d.Security, err),
			daemonRemedy(notReady, d))
	}
	return version, err
}

// DaemonEnd says how a sidecar ended, "" when it runs. One that does not answer
// any more gets a moment to end.
func (e *Engine) DaemonEnd(ctx context.Context, s plan.Service) string {
	for _, name := range []string{s.Name, s.Daemon.Cache} {
		if name == "" {
			continue
		}
		waitCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		ended, waitFailed := e.api.ContainerWait(waitCtx, name, container.WaitConditionNotRunning)
		select {
		case <-ended:
		case <-waitFailed: // there is no such container, or the time is over
		}
		cancel()
		info, err := e.api.ContainerInspect(ctx, name)
		if err != nil || info.Config.Labels[plan.LabelJob] != s.Labels[plan.LabelJob] || info.State.Running {
			continue
		}
		if info.State.OOMKilled {
			return "it ran out of memory (ECR_EXECUTOR_SERVICE_MEMORY)"
		}
		return fmt.Sprintf("exit code %d; the end of its log:\n%s", info.State.ExitCode, e.lastLines(ctx, name))
	}
	return ""
}

// pingScript asks the daemon on socket $1 for its version until it answers; a
// daemon that is starting lets the first question wait. The socket is for every
// user of the job's containers.
const pingScript = `nap() { sleep 0.05 2>/dev/null || sleep 1; }
until [ -S "$1" ]; do nap; done
if command -v docker >/dev/null; then
  until version=$(docker -H "unix://$1" version --format '{{.Server.Version}}' 2>/dev/null); do nap; done
elif command -v curl >/dev/null; then
  until version=$(curl -fs --unix-socket "$1" http://docker/version); do nap; done
  version=$(echo "$version" | sed 's/.*"Version":"\([^"]*\)".*/\1/')
else
  echo "the image has neither docker nor curl to ask the daemon with" >&2
  exit 1
fi
chmod 0666 "$1" || exit 1
echo "$version"
`

// daemonRemedy reads the end of a daemon's log.
func daemonRemedy(notReady *NotReadyError, d *plan.Daemon) string {
	log := notReady.Log
	switch {
	case strings.Contains(log, "no space left on device"):
		return "make room on the engine's disk: docker system df, docker system prune"
	case strings.Contains(log, "failed to setup UID/GID map"), strings.Contains(log, "newuidmap: "):
		return "without CAP_SYS_ADMIN, newuidmap and newgidmap of the image need file capabilities in place of setuid: " +
			"chmod u-s, setcap cap_setuid+ep newuidmap, setcap cap_setgid+ep newgidmap"
	case strings.Contains(log, "/dev/net/tun"), strings.Contains(log, "setting up tap"):
		return "the engine's host needs /dev/net/tun: modprobe tun"
	case errors.Is(notReady, errNotInTime) && d.Socket != "":
		return fmt.Sprintf("its entrypoint must hand its arguments on to dockerd (it should listen on %s); a slow host needs a larger ECR_EXECUTOR_WAIT_FOR_SERVICES_TIMEOUT", d.Socket)
	default:
		return "its log tells why; docs/security.md says what a sidecar needs of the engine (ECR_EXECUTOR_DIND_SECURITY)"
	}
}

// judgePrivileged explains an engine that refuses a privileged container.
func judgePrivileged(err error, c plan.Container) error {
	if !c.Security.Privileged || errdefs.IsNotFound(err) {
		return err
	}
	return failure.System(err, "if this engine refuses privileged containers, set ECR_EXECUTOR_DIND_SECURITY=confined (the default)")
}
