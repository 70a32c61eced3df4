package plan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Service is a container that runs beside the scripts, under its aliases.
type Service struct {
	Container
	// Daemon is set for the job's Docker daemon.
	Daemon *Daemon
}

// addServices plans the services that the job asks for, and the DinD sidecar
// that it asks for by a variable.
func (p *Plan) addServices(job gitlab.Job, s settings.Settings) error {
	taken := map[string]bool{"build": true}
	for _, wanted := range job.Services {
		if wanted.Name == "" {
			return failure.Build(errors.New("a service has no name"), "write `services: [{name: IMAGE}]`")
		}
		if err := p.addService(job, s, wanted, taken); err != nil {
			return fmt.Errorf("service %s: %w", wanted.Name, err)
		}
	}
	if asksForDaemon(job.Variables) && p.Docker() == nil {
		if len(s.DindImages) == 0 {
			return failure.Build(errors.New("the job asks for a Docker daemon (ECR_DIND), and this runner has none for jobs"), "take ECR_DIND out, or another runner (tags)")
		}
		sidecar := gitlab.Image{Name: s.DindImage}
		name, err := imageName(sidecar.Name, job.Variables)
		if err != nil {
			return failure.System(fmt.Errorf("ECR_EXECUTOR_DIND_IMAGE: %w", err), failure.Remedy(err))
		}
		image, err := serviceImage(name, sidecar, s)
		if err != nil {
			return err
		}
		if err := p.addDaemon(job, s, p.service(job, s, sidecar, image, taken), sidecar); err != nil {
			return err
		}
	}
	if s.WaitForServicesTimeout > 0 {
		p.WaitForServices = time.Duration(s.WaitForServicesTimeout) * time.Second
	}
	return nil
}

func (p *Plan) addService(job gitlab.Job, s settings.Settings, wanted gitlab.Image, taken map[string]bool) error {
	name, err := imageName(wanted.Name, job.Variables)
	if err != nil {
		return err
	}
	if err := checkAllowed(name, wanted.Name, job.Variables, "ALLOWED_SERVICES", s.AllowedServices); err != nil {
		return err
	}
	image, err := serviceImage(name, wanted, s)
	if err != nil {
		return err
	}
	image.Platform, _ = job.Variables.Expand(wanted.Options.Docker.Platform)
	service := p.service(job, s, wanted, image, taken)
	written, _ := job.Variables.Expand(wanted.Name)
	isDaemon, err := matchesAny("DIND_IMAGES", s.DindImages, written, name)
	if err != nil {
		return err
	}
	if isDaemon {
		return p.addDaemon(job, s, service, wanted)
	}
	p.Services = append(p.Services, service)
	return nil
}

func serviceImage(name string, wanted gitlab.Image, s settings.Settings) (Image, error) {
	policies, err := pullPolicies(wanted.PullPolicies, s)
	if err != nil {
		return Image{}, err
	}
	return Image{Role: "service", Name: name, Policies: policies, Verify: s.VerifyLocalImages}.through(s)
}

// service plans an ordinary service. taken are the aliases in use.
func (p *Plan) service(job gitlab.Job, s settings.Settings, wanted gitlab.Image, image Image, taken map[string]bool) Service {
	user, _ := job.Variables.Expand(string(wanted.Options.Docker.User))
	service := Service{Container: Container{
		Name:     fmt.Sprintf("%s-service-%d", p.Network.Name, len(p.Services)),
		Image:    image,
		Command:  wanted.Command,
		Env:      append(job.Variables.ContainerEnv(), job.Variables.OwnEnv(wanted.Variables)...),
		User:     user,
		Network:  p.Network.Name,
		Resolver: resolver(s),
		// The same folders as the job has: what it mounts into a container of
		// a DinD sidecar is looked up there.
		Mounts:   slices.Clone(p.Helper.Mounts),
		NanoCPUs: int64(s.ServiceCpus),
		Memory:   int64(s.ServiceMemory),
		Runtime:  s.Runtime,
		Labels:   p.Helper.Labels,
	}}
	if !s.DisableEntrypointOverwrite {
		service.Entrypoint = wanted.Entrypoint
	}
	// Of an alias that two services have, the first has it.
	for _, alias := range append(imageAliases(wanted.Name, job.Variables), wanted.Aliases()...) {
		alias, _ = job.Variables.Expand(alias)
		if alias != "" && !taken[alias] {
			taken[alias] = true
			service.Aliases = append(service.Aliases, alias)
		}
	}
	return service
}

// Docker returns the job's Docker daemon, nil when there is none.
func (p *Plan) Docker() *Service {
	for i := range p.Services {
		if p.Services[i].Daemon != nil {
			return &p.Services[i]
		}
	}
	return nil
}

var port = regexp.MustCompile(`^([^/]*):[0-9]+(/|$)`)

// imageAliases returns the names that GitLab gives to a service by its image:
// without registry port and tag, the slashes replaced by "__" and by "-"
// (gitlab-runner helpers/container/services).
func imageAliases(written string, vars gitlab.Variables) []string {
	name, _ := vars.Expand(written)
	match := reference.ReferenceRegexp.FindStringSubmatch(name)
	if match == nil {
		return nil
	}
	path := port.ReplaceAllString(match[1], "$1$2")
	alias, rfc1123 := strings.ReplaceAll(path, "/", "__"), strings.ReplaceAll(path, "/", "-")
	if alias == rfc1123 {
		return []string{alias}
	}
	return []string{alias, rfc1123}
}
