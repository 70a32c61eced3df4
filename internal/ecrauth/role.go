package ecrauth

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// Role is an AWS role for some repositories.
type Role struct {
	// Repositories is a glob of registry/repository; * stops at a slash, ** does
	// not. A registry that has several names (FIPS, dual-stack) is matched by its
	// plain one too, so that no job gets around a role by another spelling.
	Repositories string
	ARN          string
	// Projects is a glob of project paths; "" is for all.
	Projects   string
	ExternalID string
	// Policy narrows the session: "" does not, PolicyPull is ready-made, anything
	// else is an IAM policy in JSON.
	Policy string
}

// Job is the job that credentials are for. What stands here must come from
// GitLab, not from variables that the job's author may set.
type Job struct {
	ID          int64
	ProjectID   int64
	ProjectPath string
}

// identity is who asks for a token.
type identity struct {
	// role is nil for the AWS SDK's default chain.
	role   *Role
	policy string // of the session, ready for STS
	job    Job
	// web is the job's id token; "" when the default chain assumes the role.
	web registryauth.Secret
	// variable is the name of the job's variable that holds web.
	variable string
}

// identify returns who is to ask for a token for the repository path: the first
// role that matches, else the default chain.
func (o Options) identify(registry Registry, path string) (identity, error) {
	role, err := o.roleFor(registry, path)
	if err != nil || role == nil {
		return identity{}, err
	}
	return o.as(role, registry, registry.Host+"/"+path)
}

// as returns the identity of a role, for what the job wants it for.
func (o Options) as(role *Role, registry Registry, what string) (identity, error) {
	policy, err := role.sessionPolicy(registry)
	if err != nil {
		return identity{}, err
	}
	id := identity{role: role, policy: policy, job: o.Job, variable: o.IDTokenVariable}
	if o.IDTokenVariable == "" {
		return id, nil
	}
	if id.web = o.IDToken; id.web == "" {
		// The runner's own identity may have more rights than the job's role.
		return identity{}, failure.Build(
			fmt.Errorf("getting an ECR token for %s: role %s is assumed with the job's own id token, but the job has none: %s is not set",
				what, role.ARN, o.IDTokenVariable),
			fmt.Sprintf("add `id_tokens: {%s: {aud: ...}}` to the job, with the audience of the identity provider in AWS", o.IDTokenVariable))
	}
	return id, nil
}

// roleFor returns the role for a repository, nil when no role names it. One that
// roles name for other projects only is refused: the runner's own identity may
// open what they are there to keep from this one.
func (o Options) roleFor(registry Registry, path string) (*Role, error) {
	kept := false
	for i := range o.Roles {
		role := &o.Roles[i]
		for _, host := range []string{registry.Host, registry.canonical()} {
			repository, project, err := role.matches(host+"/"+path, o.Job.ProjectPath)
			if err != nil {
				return nil, failure.System(fmt.Errorf("role %s for %q, projects %q: %w", role.ARN, role.Repositories, role.Projects, err), rolesRemedy)
			}
			if repository && project {
				return role, nil
			}
			kept = kept || repository
		}
	}
	if kept {
		return nil, failure.Build(fmt.Errorf("getting an ECR token for %s/%s: no role for it is for project %s", registry.Host, path, o.Job.ProjectPath),
			"let the operator add the project to ECR_EXECUTOR_ROLES, if it may have this repository")
	}
	return nil, nil
}

const rolesRemedy = "mend ECR_EXECUTOR_ROLES: see docs/configuration.md"

// matches reports whether the role is for the repository, and then whether it is
// for the project.
func (r *Role) matches(repository, project string) (forRepository, forProject bool, err error) {
	forRepository, err = doublestar.Match(r.Repositories, repository)
	if err != nil || !forRepository || r.Projects == "" {
		return forRepository, forRepository, err
	}
	forProject, err = doublestar.Match(r.Projects, project)
	return forRepository, forProject, err
}

// longestSessionName is STS's limit; the shortest is 2.
const longestSessionName = 64

// sessionName names the job in CloudTrail, within what STS allows: of a long
// project path it keeps the end, which tells more.
func (j Job) sessionName() string {
	prefix := "gitlab-" + strconv.FormatInt(j.ID, 10) + "-"
	project := j.ProjectPath
	if project == "" {
		project = strconv.FormatInt(j.ProjectID, 10)
	}
	project = strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return '.'
		case r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+=,.@-", r)):
			return r
		}
		return '-'
	}, project)
	return prefix + project[max(0, len(project)-(longestSessionName-len(prefix))):]
}

// source says where a credential came from, for the job log.
func (id identity) source(registry Registry) string {
	text := fmt.Sprintf("Amazon ECR (%s)", registry.Region)
	if registry.Public {
		text = "Amazon ECR Public"
	}
	if id.role != nil {
		text += " as " + id.role.ARN
	}
	return text
}
