// Package stages is what happens in each stage of a job. It knows no SDK: what
// it needs of the engine it names in interfaces of its own.
package stages

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Stage is what every stage has: the environment of its process, the operator's
// settings, the log, and where the scripts' output goes.
type Stage struct {
	Environ        gitlab.Environ
	Settings       settings.Settings
	Log            logrus.FieldLogger
	Stdout, Stderr io.Writer
	// Owner names the process that runs the job; see package owner.
	Owner string
	// Registries returns the runner's access to registries for a job; nil where
	// a stage needs none.
	Registries func(gitlab.Job) Registries
	// Host is the Docker config of the host; nil where a stage needs none.
	Host registryauth.Keychain
}

// Registries finds the runner's credentials for registries.
type Registries interface {
	registryauth.Keychain
	// Knows reports, without calling anybody, whether Resolve is to find a
	// credential for the registry host.
	Knows(host string) bool
	// ResolveRegistry returns the credential that the job's own clients get for
	// all of a registry.
	ResolveRegistry(ctx context.Context, host string) (cred registryauth.Credential, found bool, err error)
}

// plan rebuilds the job's plan, the same in every stage.
func (s Stage) plan() (gitlab.Job, plan.Plan, error) {
	job, err := s.Environ.Job()
	if err != nil {
		return gitlab.Job{}, plan.Plan{}, err
	}
	job.Owner = s.Owner
	p, err := plan.New(job, s.Settings, s.registriesOf(job))
	return job, p, err
}

// registriesOf returns the registries that the job may want to talk to and the
// runner has credentials for: those that its image, its services and the values
// of its variables name, and those of the operator.
func (s Stage) registriesOf(job gitlab.Job) []string {
	if s.Registries == nil {
		return nil
	}
	registries := s.Registries(job)
	var hosts []string
	// The job's own image is the driver's business, unless the job has a daemon
	// to build on it with.
	images := job.Services
	if len(images) > 0 {
		images = append(images[:len(images):len(images)], job.Image)
	}
	for _, image := range images {
		name, _ := job.Variables.Expand(image.Name)
		hosts = append(hosts, registryauth.Hosts(name)...)
	}
	for value := range job.Variables.Values() {
		expanded, _ := job.Variables.Expand(value)
		hosts = append(hosts, registryauth.Hosts(expanded)...)
	}
	hosts = slices.DeleteFunc(hosts, func(host string) bool { return !registries.Knows(host) })
	hosts = append(hosts, s.Settings.Registries...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// seconds rounds for the job log.
func seconds(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
