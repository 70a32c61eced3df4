// Package flow is what tests of a whole runner have in common: an ECR, the jobs
// to play and what is to be removed afterwards.
package flow

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

// Images of test/images.
const (
	helperImage = "gitlab-ecr-executor/test-helper:latest"
	dindImage   = "gitlab-ecr-executor/test-dind:latest"
)

// Site is a host with an ECR that holds a private image.
type Site struct {
	ECR *ecrtest.Server
	ref string // of the private image, for the engine
	in  string // the registry, for containers
}

// Open starts the ECR and fills it.
func Open(ctx context.Context) (*Site, error) {
	s := &Site{ECR: ecrtest.Start()}
	if err := s.fill(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) fill(ctx context.Context) (err error) {
	if s.in, err = s.ECR.Reach(); err != nil {
		return err
	}
	files, err := ecrtest.Busybox()
	if err != nil {
		return err
	}
	image, err := ecrtest.Image(v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}}, files...)
	if err != nil {
		return err
	}
	s.ref, err = s.ECR.Push(ctx, "team/app", "v1", image)
	return err
}

// Close stops the ECR and removes the image from the engine.
func (s *Site) Close() (err error) {
	s.ECR.Close()
	if s.ref != "" && exec.Command("docker", "image", "inspect", s.ref).Run() == nil {
		err = leftover.RemoveImage(s.ref)
	}
	return err
}

// Env is what the runner's process has in its environment.
func (s *Site) Env() []string {
	return append(s.ECR.Env(),
		"ECR_EXECUTOR_HELPER_IMAGE="+helperImage,
		"ECR_EXECUTOR_PULL_POLICY=if-not-present",
		"ECR_EXECUTOR_DIND_IMAGES=**/test-dind:*",
		"ECR_EXECUTOR_DIND_INSECURE_REGISTRIES="+s.in,
	)
}

// Job is a job in the private image.
func (s *Site) Job(script ...string) gitlabtest.Job {
	return gitlabtest.Job{Name: "private-image", Image: s.ref, Script: script}
}

// DindJob is a job that pulls, builds and pushes, and does not log in.
func (s *Site) DindJob() gitlabtest.Job {
	return gitlabtest.Job{
		Name: "dind", Image: dindImage, Services: []gitlabtest.Service{{Name: dindImage}},
		Variables: map[string]string{"ECR_REGISTRY": s.in},
		Script: []string{
			"docker pull -q $ECR_REGISTRY/team/app:v1",
			`printf 'FROM %s\nRUN echo built > /built\n' $ECR_REGISTRY/team/app:v1 | docker build -t $ECR_REGISTRY/team/app:built -`,
			"docker push $ECR_REGISTRY/team/app:built",
		},
	}
}

// Play gives the job to the server's runner, waits for its end, and checks
// status and log.
func (s *Site) Play(server *gitlabtest.Server, job gitlabtest.Job, status string, says ...string) error {
	return s.PlayAnd(server, job, func(int64, gitlabtest.State) {}, status, says...)
}

// PlayAnd calls while again and again until the job has ended.
func (s *Site) PlayAnd(server *gitlabtest.Server, job gitlabtest.Job, while func(id int64, now gitlabtest.State), status string, says ...string) (err error) {
	id := server.Enqueue(job)
	defer func() { err = errors.Join(err, Remove(id)) }()
	state, err := server.Await(id, 2*time.Minute, func(now gitlabtest.State) bool {
		while(id, now)
		return now.Ended()
	})
	if err != nil {
		return err
	}
	return Check(state, status, says...)
}

// Check says what is wrong with how a job ended.
func Check(state gitlabtest.State, status string, says ...string) error {
	if state.Status != status {
		return fmt.Errorf("the job is %q (%s), want %q; its log:\n%s", state.Status, state.FailureReason, status, state.Trace)
	}
	for _, want := range says {
		if !strings.Contains(state.Trace, want) {
			return fmt.Errorf("the job's log lacks %q:\n%s", want, state.Trace)
		}
	}
	return nil
}

// Remove waits until the driver has removed what the job had, and removes what
// it keeps on purpose. The id of the project is the job's.
func Remove(id int64) error {
	left := ""
	for range 100 {
		left = ""
		for _, kind := range []string{"container ls --all", "network ls", "volume ls"} {
			args := append(strings.Fields(kind), "--quiet", "--filter", fmt.Sprintf("label=gitlab-ecr-executor.job.id=%d", id))
			out, err := exec.Command("docker", args...).Output()
			if err != nil {
				return fmt.Errorf("docker %s: %w", kind, err)
			}
			left += string(out)
		}
		if left == "" {
			return leftover.RemoveVolumes(id)
		}
		time.Sleep(100 * time.Millisecond) // a job's state is reported before its cleanup has ended
	}
	return fmt.Errorf("job %d has left %q behind", id, strings.Fields(left))
}
