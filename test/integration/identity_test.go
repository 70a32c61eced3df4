package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

const (
	role         = "arn:aws:iam::111122223333:role/ci/replay"
	subjectClaim = "project_path:replay/project:ref_type:branch:ref:main"
	audience     = "https://gitlab.example.com"
)

// A project pulls with its own role, and so does docker in its script; without
// the role, neither may.
func TestRoleOfAProject(t *testing.T) {
	ecr.AllowOnly("roles", role)
	newRoleJob := func(projects string) *subject {
		s := newDockerJob(t, `docker pull -q "`+inner+`/roles:v1" 2>&1`)
		s.Job.Services = append(s.Job.Services, replay.Image{Name: ecr.Host() + "/roles:v1", Alias: "side", Command: []string{"sleep", "600"}, PullPolicies: []string{"always"}})
		return s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present",
			`ECR_EXECUTOR_ROLES=[{"repositories": "*/roles", "role": "`+role+`", "projects": "`+projects+`", "external_id": "ci", "policy": "pull"}]`)
	}
	ecr.TrustRole(role, ecrtest.Trust{ExternalID: "ci"})
	expect(t, mustSucceed(t, newRoleJob("replay/*")), "with credentials from Amazon ECR (eu-west-1) as "+role, "\n"+inner+"/roles:v1\n")

	result, log := newRoleJob("somebody/*").play(t)
	var build *replay.BuildError
	if !errors.As(result.Err, &build) {
		t.Errorf("the job of another project ended with %v", result.Err)
	}
	expect(t, log, "no role for it is for project replay/project")
}

// A job with an id token needs nothing of the host: AWS gives it the role.
func TestIdentityOfAJob(t *testing.T) {
	ecr.AllowOnly("identity", role)
	ecr.TrustRole(role, ecrtest.Trust{Subject: subjectClaim, Audience: audience})
	newIdentityJob := func(token string) *subject {
		s := newJob(t, "identity", "echo pulled")
		if token != "" {
			s.Secrets = map[string]string{"AWS_ID_TOKEN": token}
		}
		return s.set("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "ECR_EXECUTOR_ROLES=*/**="+role, "ECR_EXECUTOR_WEB_IDENTITY_VARIABLE=AWS_ID_TOKEN")
	}
	before := len(ecr.Sessions())
	log := mustSucceed(t, newIdentityJob(ecr.IDToken(subjectClaim, audience, time.Hour)))
	expect(t, log, "credentials from Amazon ECR (eu-west-1) as "+role, "\npulled\n")
	if sessions := ecr.Sessions()[before:]; len(sessions) != 1 || !strings.Contains(sessions[0].SessionName, "replay.project") {
		t.Errorf("sessions %+v, want one that names the project", sessions)
	}

	for name, tt := range map[string]struct {
		token string
		says  []string
	}{
		"no token":        {"", []string{"the job has none: AWS_ID_TOKEN is not set", "id_tokens"}},
		"another project": {ecr.IDToken("project_path:somebody/else", audience, time.Hour), []string{"AccessDenied", "sts:AssumeRoleWithWebIdentity", role}},
		"expired":         {ecr.IDToken(subjectClaim, audience, -time.Minute), []string{"ExpiredToken"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newIdentityJob(tt.token)
			s.Job.Image.PullPolicies = []string{"always"}
			s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present")
			result, log := s.play(t)
			var build *replay.BuildError
			if !errors.As(result.Err, &build) {
				t.Errorf("the job ended with %v, want a build failure", result.Err)
			}
			expect(t, log, tt.says...)
			if tt.token != "" && strings.Contains(log, tt.token) {
				t.Error("the id token is in the log")
			}
		})
	}
}
