// Package stages is what happens in each stage of a job. It knows no SDK: what
// it needs of the engine it names in interfaces of its own.
package stages

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Stage is what every stage has: the environment of its process, the operator's
// settings and the log.
type Stage struct {
	Environ  gitlab.Environ
	Settings settings.Settings
	Log      logrus.FieldLogger
}

// plan rebuilds the job's plan, the same in every stage.
func (s Stage) plan() (plan.Plan, error) {
	job, err := s.Environ.Job()
	if err != nil {
		return plan.Plan{}, err
	}
	return plan.New(job, s.Settings)
}

// Engine is what prepare needs of the engine.
type Engine interface {
	CreateNetwork(ctx context.Context, n plan.Network) error
	// EnsureImage returns the reference to create containers from.
	EnsureImage(ctx context.Context, image plan.Image) (string, error)
	CreateContainer(ctx context.Context, c plan.Container, image string) error
	StartContainer(ctx context.Context, c plan.Container) error
}

// seconds rounds for the job log.
func seconds(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
