package stages

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// authVariable holds a Docker config of the job's own, as with the docker
// executor.
const authVariable = "DOCKER_AUTH_CONFIG"

// access is how a job gets at registries.
type access struct {
	// own is what the job brings in DOCKER_AUTH_CONFIG, gitlab what GitLab gives
	// it for its own registries.
	own, gitlab *registryauth.Config
	// runner is what the runner has.
	runner Registries
	// all is the order in which they are asked for the job's images, with the
	// host's Docker config in between.
	all registryauth.Keychain
}

// access finds the sources of credentials for a job. What is wrong with one of
// them is reported to complain and does not silence the others.
func (s Stage) access(job gitlab.Job, complain func(string, ...any)) access {
	own, err := registryauth.ParseConfig([]byte(job.Variables.Content(authVariable)), "the job's "+authVariable)
	if err != nil {
		complain("Not used: %v", err)
		own = registryauth.NewConfig(nil)
	}
	brought := own.Auths()
	for path, cred := range brought {
		cred.OfJob = true
		brought[path] = cred
	}
	own = registryauth.NewConfig(brought)
	logins := map[string]registryauth.Credential{}
	for _, login := range job.Logins {
		logins[login.Registry] = registryauth.Credential{
			Username: login.Username, Password: registryauth.Secret(login.Password), Source: "the job's GitLab token", OfJob: true,
		}
	}
	a := access{own: own, gitlab: registryauth.NewConfig(logins), runner: s.Registries(job)}
	chain := registryauth.Chain{Keychains: []registryauth.Keychain{own}, Warn: complain}
	if s.Host != nil {
		chain.Keychains = append(chain.Keychains, s.Host)
	}
	chain.Keychains = append(chain.Keychains, a.gitlab, a.runner)
	a.all = chain
	return a
}

// credentials are what the job's Docker config gets.
type credentials struct {
	// entries are by host[:port][/path].
	entries map[string]registryauth.Credential
	// renew is when newer ones are to be had; zero when never.
	renew time.Time
}

// credentials gets the credentials of the registries that the job's clients may
// talk to. One that cannot be had is reported to complain, no more: the script
// may do without.
//
// The host's own Docker config stays out of jobs, but for the registries that
// the operator says are for all.
func (s Stage) credentials(ctx context.Context, a access, client plan.Client, complain func(string, ...any)) credentials {
	c := credentials{entries: a.gitlab.Auths()}
	maps.Copy(c.entries, a.own.Auths())
	for _, host := range client.Registries {
		if _, ok := c.entries[host]; ok {
			continue
		}
		cred, found, err := a.runner.ResolveRegistry(ctx, host)
		if err == nil && !found && s.Host != nil && slices.Contains(s.Settings.Registries, host) {
			cred, found, err = resolve(ctx, s.Host, host)
		}
		switch {
		case err != nil:
			complain("Docker in the script gets no credentials for %s: %v", host, err)
			if next := failure.Remedy(err); next != "" {
				complain("next: %s", next)
			}
			c.renewBy(time.Now().Add(retryRenewal))
		case found:
			c.entries[host] = cred
			c.renewBy(cred.RenewAt)
		}
	}
	return c
}

// retryRenewal is the pause after credentials could not be had.
const retryRenewal = time.Minute

func (c *credentials) renewBy(t time.Time) {
	if !t.IsZero() && (c.renew.IsZero() || t.Before(c.renew)) {
		c.renew = t
	}
}

// resolve asks a keychain, which wants a repository, for a registry.
func resolve(ctx context.Context, source registryauth.Keychain, host string) (registryauth.Credential, bool, error) {
	named, err := reference.ParseNormalizedNamed(host + "/any")
	if err != nil {
		return registryauth.Credential{}, false, fmt.Errorf("registry %q: %w", host, err)
	}
	return source.Resolve(ctx, named)
}
