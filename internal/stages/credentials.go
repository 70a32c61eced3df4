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
	// all is the order in which they, and the host's Docker config, are asked for
	// the job's images.
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
	others := registryauth.Chain{Keychains: []registryauth.Keychain{own}, Warn: complain}
	if s.Host != nil {
		others.Keychains = append(others.Keychains, s.Host)
	}
	others.Keychains = append(others.Keychains, a.gitlab)
	a.all = byRegistry{known: s.knownChain(a, complain), others: others, knows: a.runner.Knows}
	return a
}

// knownChain is for the registries that the driver itself gets tokens for. Its
// own tokens come before the host's Docker config, where a login of half a day
// ago may stand for ever; and where roles say which project may what, the host's
// rights are not for those whom the roles leave out.
func (s Stage) knownChain(a access, complain func(string, ...any)) registryauth.Chain {
	chain := registryauth.Chain{Keychains: []registryauth.Keychain{a.own, a.runner}, Warn: complain}
	if s.Host != nil && len(s.Settings.Roles) == 0 {
		chain.Keychains = append(chain.Keychains, s.Host)
	}
	return chain
}

// byRegistry asks one chain or the other.
type byRegistry struct {
	known, others registryauth.Chain
	knows         func(host string) bool
}

// Resolve implements registryauth.Keychain.
func (b byRegistry) Resolve(ctx context.Context, repository reference.Named) (registryauth.Credential, bool, error) {
	if b.knows(reference.Domain(repository)) {
		return b.known.Resolve(ctx, repository)
	}
	return b.others.Resolve(ctx, repository)
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
