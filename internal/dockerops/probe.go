package dockerops

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// Describe asks the engine what it is.
func (e *Engine) Describe(ctx context.Context) (plan.EngineInfo, error) {
	version, err := e.api.ServerVersion(ctx)
	if err != nil {
		return plan.EngineInfo{}, e.judge(err)
	}
	info, err := e.api.Info(ctx)
	if err != nil {
		return plan.EngineInfo{}, e.judge(fmt.Errorf("asking the engine about itself: %w", err))
	}
	return plan.EngineInfo{
		Address: e.api.DaemonHost(), Hostname: info.Name, RootDir: info.DockerRootDir,
		Version: version.Version, APIVersion: version.APIVersion,
		StorageDriver: info.Driver, CgroupVersion: info.CgroupVersion,
	}, nil
}

// Try runs a container to its end, removes it, and returns what it printed. The
// container is gone afterwards, also when ctx ends in between.
func (e *Engine) Try(ctx context.Context, c plan.Container, image plan.LocalImage) (output string, code int, err error) {
	if err := e.CreateContainer(ctx, c, image); err != nil {
		return "", 0, judgePrivileged(err, c)
	}
	defer func() {
		ctx, cancel := whole(ctx)
		defer cancel()
		if removeErr := e.removeContainer(ctx, c.Name); err == nil {
			err = removeErr
		}
	}()
	// The engine keeps nothing of what a silent container prints: the stream is
	// opened before it starts.
	attached, err := e.api.ContainerAttach(ctx, c.Name, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return "", 0, e.judgeStart(err, c)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)() // the stream does not know of ctx
	exited, waitFailed := e.api.ContainerWait(ctx, c.Name, container.WaitConditionNextExit)
	if err := e.StartContainer(ctx, c); err != nil {
		return "", 0, err
	}
	var both bytes.Buffer
	_, err = stdcopy.StdCopy(&both, &both, attached.Reader)
	if ctx.Err() != nil {
		return "", 0, fmt.Errorf("running container %s: %w", c.Name, context.Cause(ctx))
	}
	if err != nil {
		return "", 0, fmt.Errorf("reading what container %s prints: %w", c.Name, err)
	}
	select {
	case end := <-exited:
		return strings.TrimSpace(both.String()), int(end.StatusCode), nil
	case err := <-waitFailed:
		return "", 0, e.judge(fmt.Errorf("waiting for the end of container %s: %w", c.Name, err))
	}
}

// HasImage reports whether the engine has an image.
func (e *Engine) HasImage(ctx context.Context, name string) (bool, error) {
	_, err := e.api.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, e.judge(err)
}

// RemoveImage takes a name off an image, and removes what has no other name
// then. An image that a container runs stays, which is an error.
func (e *Engine) RemoveImage(ctx context.Context, name string) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	_, err := e.api.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	return unlessGone("image", name, err)
}
