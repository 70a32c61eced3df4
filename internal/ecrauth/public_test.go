package ecrauth

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

func TestPublicECR(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	s := newSubject(server, dir)
	password, err := s.password(t, "public.ecr.aws/docker/library/busybox")
	if err != nil || server.TokenPrincipal(password) != ecrtest.Principal {
		t.Errorf("the token is %s's, %v", server.TokenPrincipal(password), err)
	}
	if again, err := newSubject(server, dir).password(t, "public.ecr.aws/other/image"); err != nil || again != password {
		t.Errorf("another process: %v, want the same token", err)
	}
	// ECR's own token is another, also in the same region.
	private, err := s.password(t, server.Host()+"/app")
	if err != nil || private == password {
		t.Errorf("a private registry gets the public token: %v", err)
	}
	if server.PublicTokenCalls() != 1 || server.TokenCalls() != 1 || !s.Knows("public.ecr.aws") {
		t.Errorf("%d and %d calls", server.PublicTokenCalls(), server.TokenCalls())
	}
}

func TestPublicECRWithoutLogin(t *testing.T) {
	denied := &ecrtest.Fault{Status: 400, Code: "AccessDeniedException", Message: "not authorized to perform: sts:GetServiceBearerToken"}
	tests := map[string]func(t *testing.T, server *ecrtest.Server) *subject{
		"denied": func(t *testing.T, server *ecrtest.Server) *subject {
			server.FailPublicAPI(denied)
			return newSubject(server, t.TempDir())
		},
		"no credentials": func(t *testing.T, server *ecrtest.Server) *subject {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			return newSubject(server, t.TempDir())
		},
		"no id token for a role that matches": func(t *testing.T, server *ecrtest.Server) *subject {
			return newSubject(server, t.TempDir(), withIDToken(Job{}, ""), func(o *Options) { o.Roles[0].Repositories = "**" })
		},
	}
	for name, arrange := range tests {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			s := arrange(t, server)
			repository, err := reference.ParseNormalizedNamed("public.ecr.aws/docker/library/busybox")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if cred, found, err := s.Resolve(t.Context(), repository); found || err != nil || cred.Password != "" {
					t.Errorf("found %v, %v; want an anonymous pull", found, err)
				}
			}
			if len(s.warnings) != 1 || !strings.Contains(s.warnings[0], "public.ecr.aws without login") || server.PublicTokenCalls() > 1 {
				t.Errorf("warnings = %q, %d calls; want one each", s.warnings, server.PublicTokenCalls())
			}
		})
	}
	t.Run("a job that ends is no reason", func(t *testing.T) {
		s := newSubject(setup(t), t.TempDir())
		repository, err := reference.ParseNormalizedNamed("public.ecr.aws/x/y")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.Resolve(ctx, repository); err == nil {
			t.Error("no error")
		}
	})
}

func TestAmazonsTokensStayWithAmazon(t *testing.T) {
	for name, endpoint := range map[string]string{
		"Amazon's own API": "",
		"a VPC endpoint":   "https://vpce-1.api.ecr.eu-west-1.vpce.amazonaws.com",
		"dual stack":       "https://ecr.eu-west-1.api.aws",
	} {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			t.Setenv("AWS_ENDPOINT_URL_ECR", endpoint)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			repository, err := reference.ParseNormalizedNamed(server.Host() + "/app")
			if err != nil {
				t.Fatal(err)
			}
			_, found, err := newSubject(server, t.TempDir()).Resolve(ctx, repository)
			if found || !errors.Is(err, errAmazonToken) || !strings.Contains(failure.Remedy(err), "AWS_ENDPOINT_URL_ECR") {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
	for host, want := range map[string]bool{
		"api.ecr.eu-west-1.amazonaws.com": true, "ecr.eu-west-1.api.aws.": true, "API.ECR.cn-north-1.amazonaws.com.cn": true,
		"localhost": false, "evilamazonaws.com": false, "amazonaws.com.evil.example": false, "localhost.localstack.cloud": false,
	} {
		if isAmazon(host) != want {
			t.Errorf("isAmazon(%q) = %v", host, !want)
		}
	}
}
