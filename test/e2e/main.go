// Command e2e plays jobs with the gitlab-runner that is on PATH: config.toml as
// deploy/register writes it, a GitLab server of the tests' own, an ECR on
// loopback. `make e2e` builds what it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/flow"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

func play(ctx context.Context) (err error) {
	program, err := exec.LookPath("gitlab-runner")
	if err != nil {
		return errors.New("there is no gitlab-runner on PATH: install GitLab Runner (https://docs.gitlab.com/runner/install/), " +
			"or call make with its folder: PATH=FOLDER:$PATH make e2e")
	}
	site, err := flow.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	server := gitlabtest.New()
	r, err := startRunner(ctx, program, site, server)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := r.stop(); stopErr != nil || err != nil {
			err = errors.Join(err, stopErr, fmt.Errorf("the runner's own log:\n%s", r.log.String()))
		}
	}()
	for _, scenario := range scenarios(site, server) {
		start := time.Now()
		if err := scenario.play(); err != nil {
			return fmt.Errorf("%s: %w", scenario.name, err)
		}
		fmt.Printf("ok  %-34s %5.1f s\n", scenario.name, time.Since(start).Seconds())
	}
	return nil
}

type scenario struct {
	name string
	play func() error
}

func scenarios(site *flow.Site, server *gitlabtest.Server) []scenario {
	return []scenario{
		{"a job in a private image", func() error {
			job := site.Job("echo as $(id -un)", "env | grep ^AWS_ || echo no keys in sight")
			job.AfterScript = []string{"echo ended with $CI_JOB_STATUS"}
			return site.Play(server, job, "success", "as root", "\nno keys in sight", "\nended with success")
		}},
		{"docker pull, build and push", func() error {
			return site.Play(server, site.DindJob(), "success", "Successfully built", "built: digest: sha256:")
		}},
		{"a script that fails", func() error {
			return site.Play(server, site.Job("exit 3"), "failed", "Job failed: exit")
		}},
		{"an image that does not exist", func() error {
			job := site.Job("true")
			job.Image = strings.Replace(job.Image, "team/app", "team/none", 1)
			return site.Play(server, job, "failed", "team/none")
		}},
		{"a job that is cancelled", func() error {
			var cancelled atomic.Bool
			// A runner learns of it with the next part of the log, else within half a minute.
			job := site.Job("echo started", "while sleep 1; do echo goes on; done")
			return site.PlayAnd(server, job, func(id int64, now gitlabtest.State) {
				if strings.Contains(now.Trace, "\nstarted") && cancelled.CompareAndSwap(false, true) {
					server.Cancel(id)
				}
			}, "canceled", "\nstarted")
		}},
	}
}
