package ecrauth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

const (
	subjectA = "project_path:g/a:ref_type:branch:ref:main"
	audience = "https://gitlab.example"
)

// withIDToken makes it a job that has token for roleA.
func withIDToken(job Job, token string) func(*Options) {
	return func(o *Options) {
		o.Roles, o.Job = []Role{{Repositories: "*/team/**", ARN: roleA}}, job
		o.IDToken, o.IDTokenVariable = registryauth.Secret(token), "AWS_ID_TOKEN"
	}
}

// onlyWebIdentity leaves the process without AWS credentials of its own.
func onlyWebIdentity(t *testing.T) *ecrtest.Server {
	t.Helper()
	server := setup(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	// An error as soon as the host's credentials are looked for.
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/not-loopback")
	server.TrustRole(roleA, ecrtest.Trust{Subject: subjectA, Audience: audience})
	return server
}

func TestAJobPullsWithItsOwnIdentity(t *testing.T) {
	server, dir := onlyWebIdentity(t), t.TempDir()
	job := Job{ID: 4711, ProjectID: 7, ProjectPath: "g/a"}
	idToken := server.IDToken(subjectA, audience, time.Hour)
	var first string
	for range 3 { // the stages of the job, each a process
		password, err := newSubject(server, dir, withIDToken(job, idToken)).password(t, server.Host()+"/team/app")
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = password
		}
		if got := server.TokenPrincipal(password); password != first || got != "arn:aws:sts::111122223333:assumed-role/a/gitlab-4711-g.a" {
			t.Errorf("the token is %s's", got)
		}
	}
	if server.TokenCalls() != 1 || server.STSCalls() != 1 {
		t.Errorf("%d calls to ECR and %d to STS, want one each", server.TokenCalls(), server.STSCalls())
	}
}

// The cache has a token of project A. Nobody but AWS can tell whether an id
// token is genuine: so what only looks like A's does not get it.
func TestForgedClaimsGetNothingFromTheCache(t *testing.T) {
	server, dir := onlyWebIdentity(t), t.TempDir()
	idToken := server.IDToken(subjectA, audience, 2*time.Second)
	if _, err := newSubject(server, dir, withIDToken(Job{ID: 1, ProjectID: 7, ProjectPath: "g/a"}, idToken)).password(t, server.Host()+"/team/app"); err != nil {
		t.Fatal(err)
	}
	forged := ecrtest.ForgedIDToken(subjectA, audience)
	for _, job := range []Job{{ID: 2, ProjectID: 8, ProjectPath: "g/b"}, {ID: 1, ProjectID: 7, ProjectPath: "g/a"}} {
		password, err := newSubject(server, dir, withIDToken(job, forged)).password(t, server.Host()+"/team/app")
		if err == nil || password != "" || !strings.Contains(err.Error(), "InvalidIdentityToken") {
			t.Errorf("with a forged token: %q, %v", password, err)
		}
	}
	// A token that leaked, in another job: it has expired by STS's own clock.
	time.Sleep(2 * time.Second)
	password, err := newSubject(server, dir, withIDToken(Job{ID: 3, ProjectID: 8, ProjectPath: "g/b"}, idToken)).password(t, server.Host()+"/team/app")
	if err == nil || password != "" || !strings.Contains(err.Error(), "ExpiredToken") {
		t.Errorf("with an expired token: %q, %v", password, err)
	}
}

func TestWithoutTheIDTokenThereIsNoFallBack(t *testing.T) {
	server, dir := setup(t), t.TempDir() // the runner has credentials of its own
	s := newSubject(server, dir, withIDToken(Job{ID: 1, ProjectPath: "g/a"}, ""))
	_, err := s.password(t, server.Host()+"/team/app")
	if err == nil || !failure.IsBuild(err) || !strings.Contains(failure.Remedy(err), "id_tokens: {AWS_ID_TOKEN") ||
		!strings.Contains(err.Error(), server.Host()+"/team/app") || !strings.Contains(err.Error(), roleA) {
		t.Errorf("error = %v, remedy %q", err, failure.Remedy(err))
	}
	if server.TokenCalls() != 0 || server.STSCalls() != 0 {
		t.Error("AWS was called")
	}
	// No role is for this one: the runner's own identity, as ever.
	if password, err := s.password(t, server.Host()+"/base"); err != nil || server.TokenPrincipal(password) != ecrtest.Principal {
		t.Errorf("without a matching role: %s's, %v", server.TokenPrincipal(password), err)
	}
}

func TestErrorsOfRoles(t *testing.T) {
	const user = "arn:aws:iam::111122223333:user/runner"
	tests := map[string]struct {
		fault *ecrtest.Fault
		web   bool
		token func(*ecrtest.Server) string
		build bool
		want  []string
	}{
		"not trusted": {
			fault: &ecrtest.Fault{Status: 403, Code: "AccessDenied", Message: "User: " + user + " is not authorized to perform: sts:AssumeRole on resource: " + roleA},
			want:  []string{"AccessDenied", user, "sts:AssumeRole on " + roleA, "trust policy"},
		},
		"session expired": {
			fault: &ecrtest.Fault{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"},
			want:  []string{"ExpiredToken", "sts:AssumeRole", "the runner's EnvConfigCredentials", "renew it"},
		},
		"policy": {
			fault: &ecrtest.Fault{Status: 400, Code: "MalformedPolicyDocument", Message: "Syntax errors in policy."},
			want:  []string{"MalformedPolicyDocument", "`policy`"},
		},
		"STS is off in the region": {
			fault: &ecrtest.Fault{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"},
			want:  []string{"RegionDisabledException", "switch on STS for region eu-west-1"},
		},
		"wrong subject": {
			web: true, build: true,
			token: func(s *ecrtest.Server) string { return s.IDToken("project_path:g/b", audience, time.Hour) },
			want:  []string{"AccessDenied", "sts:AssumeRoleWithWebIdentity on " + roleA, "AWS_ID_TOKEN", "project_path:g/b", audience, "trust policy"},
		},
		"expired id token": {
			web: true, build: true,
			token: func(s *ecrtest.Server) string { return s.IDToken(subjectA, audience, -time.Minute) },
			want:  []string{"ExpiredToken", "sts:AssumeRoleWithWebIdentity", subjectA, "timeout"},
		},
		"not a token": {
			web: true, token: func(*ecrtest.Server) string { return "hunter2" },
			want: []string{"InvalidIdentityToken", "no JWT", "identity provider", "id_tokens: AWS_ID_TOKEN"},
		},
		"GitLab cannot be reached from AWS": {
			fault: &ecrtest.Fault{Status: 400, Code: "IDPCommunicationError", Message: "could not be reached"}, web: true,
			want: []string{"IDPCommunicationError", "/.well-known/openid-configuration"},
		},
		"claims rejected": {
			fault: &ecrtest.Fault{Status: 403, Code: "IDPRejectedClaim", Message: "rejected"}, web: true, build: true,
			want: []string{"IDPRejectedClaim", "`aud`"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			server.TrustRole(roleA, ecrtest.Trust{})
			if tt.token != nil {
				server.TrustRole(roleA, ecrtest.Trust{Subject: subjectA})
			}
			server.FailSTS(tt.fault)
			change := withRoles(Job{ID: 1, ProjectPath: "g/a"}, Role{Repositories: "**", ARN: roleA})
			idToken := ""
			if tt.web {
				idToken = server.IDToken(subjectA, audience, time.Hour)
				if tt.token != nil {
					idToken = tt.token(server)
				}
				change = withIDToken(Job{ID: 1, ProjectPath: "g/a"}, idToken)
			}
			_, err := newSubject(server, t.TempDir(), change).password(t, server.Host()+"/team/app")
			var said *Error
			if !errors.As(err, &said) || said.Role != roleA || failure.IsBuild(err) != tt.build {
				t.Fatalf("error = %#v, build %v", err, failure.IsBuild(err))
			}
			text := err.Error() + "\nnext: " + failure.Remedy(err)
			for _, want := range append(tt.want, server.Host(), ecrtest.Region) {
				if !strings.Contains(text, want) {
					t.Errorf("says %q, want %q", text, want)
				}
			}
			if strings.Contains(text, ecrtest.SecretKey) || idToken != "" && strings.Contains(text, idToken) {
				t.Errorf("a secret shows in %q", text)
			}
			if server.TokenCalls() != 0 {
				t.Error("a token was asked for with another identity")
			}
		})
	}
}
