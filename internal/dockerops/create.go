package dockerops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/container"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// createTimeout bounds a request that creates something.
const createTimeout = 2 * time.Minute

// whole lets a request that creates something come to its end, also when ctx
// ends: the engine may carry out an abandoned one later, behind the back of
// cleanup.
func whole(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
}

// CreateNetwork creates a job's network.
func (e *Engine) CreateNetwork(ctx context.Context, n plan.Network) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	_, err := e.api.NetworkCreate(ctx, n.Name, networkOptions(n))
	if errdefs.IsConflict(err) {
		// The name is the job's: it is a leftover of an earlier try.
		if err := e.removeNetwork(ctx, n.Name); err != nil {
			return fmt.Errorf("replacing network %s of an earlier try: %w", n.Name, err)
		}
		_, err = e.api.NetworkCreate(ctx, n.Name, networkOptions(n))
	}
	if err != nil {
		if strings.Contains(err.Error(), "could not find an available") {
			return failure.System(fmt.Errorf("creating network %s: %w", n.Name, err),
				"every job has a network: remove unused ones (docker network prune) or add default-address-pools to daemon.json")
		}
		return e.judge(fmt.Errorf("creating network %s: %w", n.Name, err))
	}
	return nil
}

// errTaken says that a container of another job has the name.
var errTaken = errors.New("a container of another job has this name")

// CreateContainer creates a container from image, which EnsureImage returned.
// One that has the name already is a leftover of an earlier try of the same
// job: it is replaced.
func (e *Engine) CreateContainer(ctx context.Context, c plan.Container, image plan.LocalImage) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	config, host, networking := containerConfig(c, image)
	if c.Security.Seccomp != "" {
		info, err := e.api.Info(ctx)
		if err != nil {
			return e.judge(fmt.Errorf("asking the engine for its cgroup version: %w", err))
		}
		profile, err := seccompProfile(c.Security.Seccomp, info.CgroupVersion == "2")
		if err != nil {
			return err
		}
		host.SecurityOpt = append(host.SecurityOpt, "seccomp="+profile)
	}
	var platform *ocispec.Platform
	if c.Image.Platform != "" {
		parsed, err := platforms.Parse(c.Image.Platform)
		if err != nil {
			return failure.Build(fmt.Errorf("platform %q: %w", c.Image.Platform, err), "write it as linux/arm64")
		}
		platform = &parsed
	}
	create := func() error {
		created, err := e.api.ContainerCreate(ctx, config, host, networking, platform, c.Name)
		for _, warning := range created.Warnings {
			e.log.Warnf("Docker on container %s: %s", c.Name, warning)
		}
		return err
	}
	err := create()
	if errdefs.IsConflict(err) {
		other, inspectErr := e.api.ContainerInspect(ctx, c.Name)
		switch {
		case inspectErr != nil && !errdefs.IsNotFound(inspectErr):
			return e.judge(fmt.Errorf("looking at container %s of an earlier try: %w", c.Name, inspectErr))
		case inspectErr == nil && other.Config.Labels[plan.LabelJob] != c.Labels[plan.LabelJob]:
			return fmt.Errorf("creating container %s: %w (%s)", c.Name, errTaken, other.Config.Labels[plan.LabelJob])
		case inspectErr == nil:
			if err := e.removeContainer(ctx, other.ID); err != nil {
				return fmt.Errorf("replacing container %s of an earlier try: %w", c.Name, err)
			}
		}
		err = create()
	}
	switch {
	case err == nil:
		return nil
	case errdefs.IsInvalidArgument(err) && !strings.Contains(err.Error(), "No command specified"):
		// What the engine finds wrong with it is the operator's: limits, runtime,
		// devices, hosts.
		return failure.System(fmt.Errorf("creating container %s: %w", c.Name, err), "check the ECR_EXECUTOR_ settings that the message is about (docs/configuration.md)")
	}
	return e.judge(fmt.Errorf("creating container %s: %w", c.Name, err))
}

// StartContainer starts a container that runs by itself.
func (e *Engine) StartContainer(ctx context.Context, c plan.Container) error {
	if err := e.api.ContainerStart(ctx, c.Name, container.StartOptions{}); err != nil {
		return e.judgeStart(err, c)
	}
	return nil
}

// judgeStart recognises an image that cannot run what it is asked to.
func (e *Engine) judgeStart(err error, c plan.Container) error {
	text := err.Error()
	wrapped := fmt.Errorf("starting container %s from %s image %s: %w", c.Name, c.Image.Role, c.Image.Familiar(), err)
	switch {
	case strings.Contains(text, "error gathering device information"):
		return failure.System(wrapped, fmt.Sprintf("the engine's host needs the devices %s: for /dev/net/tun, modprobe tun", strings.Join(c.Security.Devices, ", ")))
	case strings.Contains(text, "No such container"), strings.Contains(text, "received 404"), // the latter when attaching
		strings.Contains(text, "cannot join network of a non running container"):
		return failure.System(wrapped, "the container is gone: was it removed while the job ran (docker system prune)?")
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		if c.Image.Role == "helper" {
			return failure.System(wrapped, "ECR_EXECUTOR_HELPER_IMAGE needs a shell (sh) and git")
		}
		if c.Image.Role != "job" {
			return failure.Build(wrapped, "check `command` and `entrypoint` of the service, and that its image has what they name")
		}
		return failure.Build(wrapped, "a job's image needs a shell (sh), and what its ENTRYPOINT names must exist: "+
			"take an image with a shell, or override `entrypoint`")
	case strings.Contains(text, "exec format error"):
		return failure.Build(wrapped, "the image is for another architecture: set `docker: platform` of the image, or push one for this architecture")
	case strings.Contains(text, "unable to find user"), strings.Contains(text, "no matching entries in passwd file"):
		return failure.Build(wrapped, "the image has no such user: change `docker: user` of the image or service")
	default:
		return judgePrivileged(e.judge(wrapped), c)
	}
}
