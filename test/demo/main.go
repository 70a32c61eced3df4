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
	say("docker pull without a login is refused. The job, as GitLab would show it:\n")

	state, err := os.MkdirTemp("", "demo-state")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	opts := replay.DefaultOptions()
	opts.GitDir = "."
	if opts.BinDir, err = filepath.Abs("bin"); err != nil {
		return err
	}
	if opts.Job, err = replay.ReadJob("examples/private-image.yml", ""); err != nil {
		return err
	}
	opts.Job.Variables["ECR_REGISTRY"] = ecr.Host()
	opts.JobID = time.Now().Unix() // a job of its own, whatever else runs here
	opts.ProjectID = opts.JobID
	opts.Env = append(os.Environ(), append(ecr.Env(),
		"ECR_EXECUTOR_HELPER_IMAGE=gitlab-ecr-executor/test-helper:latest",
		"ECR_EXECUTOR_PULL_POLICY=if-not-present",
		"ECR_EXECUTOR_STATE_DIR="+state,
	)...)
	start := time.Now()
	result := replay.Run(ctx, opts)
	if result.Err != nil {
		return fmt.Errorf("the job failed: %w", result.Err)
	}
	fmt.Println()
	say("The job took %s, with %d call to AWS", time.Since(start).Round(10*time.Millisecond), ecr.TokenCalls())
	return leftover.RemoveVolumes(opts.ProjectID)
}

func say(format string, args ...any) { fmt.Printf("\x1b[1m==> "+format+"\x1b[0m\n", args...) }
