// Package access wires a stage to the registries: prepare and run must find the
// same credentials.
package access

import (
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

// Give gives the stage what the runner has: Amazon ECR, by the roles of the
// operator, and the Docker config of the host.
func Give(stage *stages.Stage) {
	s, warn := stage.Settings, stage.Log.Warnf
	stage.Host = registryauth.NewHostConfig(registryauth.DefaultHostConfig(), warn)
	stage.Registries = func(job gitlab.Job) stages.Registries {
		opts := ecrauth.Options{
			Hosts:           s.EcrHosts,
			StateDir:        s.StateDir,
			Warn:            warn,
			Roles:           Roles(s),
			Job:             ecrauth.Job{ID: job.ID, ProjectID: job.ProjectID, ProjectPath: job.ProjectPath},
			IDTokenVariable: string(s.WebIdentityVariable),
			IDToken:         registryauth.Secret(job.Variables.Content(string(s.WebIdentityVariable))),
		}
		return ecrauth.New(opts)
	}
}

// Roles are those of the operator.
func Roles(s settings.Settings) []ecrauth.Role {
	var roles []ecrauth.Role
	for _, role := range s.Roles {
		roles = append(roles, ecrauth.Role{
			Repositories: role.Repositories, ARN: role.Role, Projects: role.Projects, ExternalID: role.ExternalID, Policy: role.Policy,
		})
	}
	return roles
}
