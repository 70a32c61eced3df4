// Command demo runs the examples against an ECR of its own, on this machine
// alone: no AWS account, no Docker Hub. `make demo` builds what it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) (err error) {
	ecr := ecrtest.Start()
	defer ecr.Close()
	// Containers reach the registry by another address than the engine.
	inside, err := ecr.Reach()
	if err != nil {
		return err
	}
	say("Amazon ECR on loopback: registry %s, private as the real one", ecr.Host())

	files, err := ecrtest.Busybox()
	if err != nil {
		return err
	}
	image, err := ecrtest.Image(v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}}, files...)
	if err != nil {
		return err
	}
	ref, err := ecr.Push(ctx, "team/app", "v1", image)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leftover.RemoveImage(ref)) }()
	say("Pushed the private image %s", ref)
	if err := exec.CommandContext(ctx, "docker", "pull", ref).Run(); err == nil {
		return fmt.Errorf("docker pulled %s without a login: it is not private", ref)
	}
	say("docker pull without a login is refused.")

	state, err := os.MkdirTemp("", "demo-state")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	env := append(os.Environ(), append(ecr.Env(),
		"ECR_EXECUTOR_HELPER_IMAGE=gitlab-ecr-executor/test-helper:latest",
		"ECR_EXECUTOR_PULL_POLICY=if-not-present",
		"ECR_EXECUTOR_DIND_IMAGES=**/test-dind:*",
		"ECR_EXECUTOR_DIND_INSECURE_REGISTRIES="+inside,
		"ECR_EXECUTOR_STATE_DIR="+state,
	)...)
	for i, example := range []struct {
		file      string
		variables map[string]string
	}{
		{"examples/private-image.yml", map[string]string{"ECR_REGISTRY": ecr.Host()}},
		{"examples/dind.yml", map[string]string{
			"ECR_REGISTRY": inside, "DOCKER_IMAGE": "gitlab-ecr-executor/test-dind:latest", "DIND_IMAGE": "gitlab-ecr-executor/test-dind:latest",
		}},
	} {
		say("%s, as GitLab would show it:\n", example.file)
		start := time.Now()
		if err := play(ctx, example.file, example.variables, env, int64(i)); err != nil {
			return err
		}
		fmt.Println()
		say("The job took %s; calls to AWS so far: %d", time.Since(start).Round(10*time.Millisecond), ecr.TokenCalls())
	}
	return nil
}

// play runs the job of an example and removes what the driver would keep for
// the next job of its project.
func play(ctx context.Context, file string, variables map[string]string, env []string, n int64) (err error) {
	opts := replay.DefaultOptions()
	opts.GitDir, opts.Env = ".", env
	if opts.BinDir, err = filepath.Abs("bin"); err != nil {
		return err
	}
	if opts.Job, err = replay.ReadJob(file, ""); err != nil {
		return err
	}
	for key, value := range variables {
		opts.Job.Variables[key] = value
	}
	opts.JobID = time.Now().UnixMilli() + n // a job of its own, whatever else runs here
	opts.ProjectID = opts.JobID
	defer func() { err = errors.Join(err, leftover.RemoveVolumes(opts.ProjectID)) }()
	if result := replay.Run(ctx, opts); result.Err != nil {
		return fmt.Errorf("the job of %s failed: %w", file, result.Err)
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("\x1b[1m==> "+format+"\x1b[0m\n", args...) }
