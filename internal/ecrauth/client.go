package ecrauth

import (
	"context"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// ResolveRegistry returns the credential that a job's own Docker clients get for
// a registry as a whole: they do not say which repository they want it for.
//
// Where roles name repositories of the registry, it is the first role for the
// job's project, and none when no role is for it: the runner's own identity may
// open what the roles are there to keep from this project. Errors are as those
// of Resolve.
func (k *Keychain) ResolveRegistry(ctx context.Context, host string) (registryauth.Credential, bool, error) {
	registry, ok := k.registry(host)
	if !ok {
		return registryauth.Credential{}, false, nil
	}
	if registry.Public {
		return k.resolvePublic(ctx, registry, "")
	}
	role, named, err := k.opts.roleForRegistry(registry)
	if err != nil || (named && role == nil) {
		return registryauth.Credential{}, false, err
	}
	var id identity
	if role != nil {
		if id, err = k.opts.as(role, registry, registry.Host); err != nil {
			return registryauth.Credential{}, false, err
		}
	}
	cred, err := k.credential(ctx, registry, id)
	return cred, err == nil, err
}

// roleForRegistry returns the first role for the job's project that is for
// repositories of the registry, and whether any role is.
func (o Options) roleForRegistry(registry Registry) (first *Role, named bool, err error) {
	for i := range o.Roles {
		role := &o.Roles[i]
		hosts, _, _ := strings.Cut(role.Repositories, "/")
		matches := false
		for _, host := range []string{registry.Host, registry.canonical()} {
			matched, err := doublestar.Match(hosts, host)
			// Braces may hold a slash: better to keep a credential back.
			matches = matches || matched || err != nil
		}
		if !matches {
			continue
		}
		named = true
		if role.Projects == "" {
			return role, true, nil
		}
		switch ours, err := doublestar.Match(role.Projects, o.Job.ProjectPath); {
		case err != nil:
			return nil, true, failure.System(fmt.Errorf("role %s for projects %q: %w", role.ARN, role.Projects, err), rolesRemedy)
		case ours:
			return role, true, nil
		}
	}
	return nil, named, nil
}
