package dockerops

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// PutFiles writes files, by their absolute paths, into a container. Folders are
// made when they are missing; everybody in the container may write to both.
func (e *Engine) PutFiles(ctx context.Context, c plan.Container, files map[string][]byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	made := map[string]bool{}
	for name, content := range files {
		err := putFolders(w, path.Dir(name), made)
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: 0o666, Size: int64(len(content))})
		}
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("packing files: %w", err)
	}
	if err := e.api.CopyToContainer(ctx, c.Name, "/", &archive, container.CopyToContainerOptions{}); err != nil {
		return e.judge(fmt.Errorf("writing files into container %s: %w", c.Name, err))
	}
	return nil
}

// putFolders adds a folder and those above it, but for the first level: that is
// a mount or the image's own.
func putFolders(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] || path.Dir(dir) == "/" || dir == "/" {
		return nil
	}
	if err := putFolders(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o777})
}

// maxFile bounds what is read of a file that a job may have written.
const maxFile = 4 << 20

// ReadFile returns the content of a file in a container, nil when there is no
// such file.
func (e *Engine) ReadFile(ctx context.Context, c plan.Container, name string) ([]byte, error) {
	archive, _, err := e.api.CopyFromContainer(ctx, c.Name, name)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, e.judge(fmt.Errorf("reading %s in container %s: %w", name, c.Name, err))
	}
	defer archive.Close()
	r := tar.NewReader(archive)
	header, err := r.Next()
	if err == nil && (header.Typeflag != tar.TypeReg || header.Size > maxFile) {
		err = errors.New("it is no file, or too large")
	}
	var content []byte
	if err == nil {
		content, err = io.ReadAll(r)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s in container %s: %w", name, c.Name, err)
	}
	return content, nil
}

// ReplaceFiles writes files in a running container, each in one step: who reads
// it finds the old content or the new.
func (e *Engine) ReplaceFiles(ctx context.Context, c plan.Container, files map[string][]byte) error {
	const next = ".new"
	words := []string{"sh", "-c", `for file; do mv -f "$file` + next + `" "$file" || exit; done`, "replace"}
	renamed := make(map[string][]byte, len(files))
	for name, content := range files {
		renamed[name+next] = content
		words = append(words, name)
	}
	if err := e.PutFiles(ctx, c, renamed); err != nil {
		return err
	}
	if err := e.succeed(ctx, c.Name, words...); err != nil {
		return fmt.Errorf("replacing files in container %s: %w", c.Name, err)
	}
	return nil
}
