package dockerops

import (
	"bytes"
	"context"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// command runs a command of the driver's own in a running container and returns
// what it printed. It ends early, with an error, when ctx does; the command may
// run on then.
func (e *Engine) command(ctx context.Context, name string, words ...string) (output string, code int, err error) {
	created, err := e.api.ContainerExecCreate(ctx, name, container.ExecOptions{Cmd: words, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return "", 0, err
	}
	attached, err := e.api.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return "", 0, err
	}
	defer attached.Close()
	// The stream does not know of ctx.
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var both bytes.Buffer
	_, err = stdcopy.StdCopy(&both, &both, attached.Reader)
	if ctx.Err() != nil {
		return "", 0, ctx.Err()
	}
	if err != nil {
		return "", 0, err
	}
	code, err = e.execResult(ctx, created.ID)
	return strings.TrimSpace(both.String()), code, err
}
