package stages

import (
	"context"
	"fmt"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// authVariable holds a Docker config of the job's own, as with the docker
// executor.
const authVariable = "DOCKER_AUTH_CONFIG"

// jobConfig returns the registry credentials that the job brings itself.
func jobConfig(job gitlab.Job) (*registryauth.Config, error) {
	return registryauth.ParseConfig([]byte(job.Variables.Content(authVariable)), "the job's "+authVariable)
}

// keychain returns what the job's images are pulled with: what the job brings
// itself, then what the runner has.
func (s Stage) keychain(job gitlab.Job) registryauth.Keychain {
	own, err := jobConfig(job)
	if err != nil {
		s.Log.Warnf("Not used: %v", err)
		return s.Registries
	}
	return registryauth.Chain{own, s.Registries}
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
func (s Stage) credentials(ctx context.Context, job gitlab.Job, client plan.Client, complain func(string, ...any)) credentials {
	c := credentials{entries: map[string]registryauth.Credential{}}
	if own, err := jobConfig(job); err == nil { // prepare has told of an error
		c.entries = own.Auths()
	}
	for _, host := range client.Registries {
		if _, ok := c.entries[host]; ok {
			continue
		}
		cred, found, err := s.resolve(ctx, host)
		switch {
		case err != nil:
			complain("Docker in the script gets no credentials for %s: %v", host, err)
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

func (s Stage) resolve(ctx context.Context, host string) (registryauth.Credential, bool, error) {
	// A keychain is asked for a repository; one token is for all of a registry.
	named, err := reference.ParseNormalizedNamed(host + "/any")
	if err != nil {
		return registryauth.Credential{}, false, fmt.Errorf("registry %q: %w", host, err)
	}
	return s.Registries.Resolve(ctx, named)
}
