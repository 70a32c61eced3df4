package ecrauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	tests := map[string]struct {
		arrange func(t *testing.T, server *ecrtest.Server)
		want    []string
	}{
		"access denied": {
			func(_ *testing.T, server *ecrtest.Server) { server.FailAPI(&ecrtest.AccessDenied) },
			[]string{"AccessDeniedException", "arn:aws:sts::111122223333:assumed-role/ci/i-0abc", Action, "allow"},
		},
		"expired": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{Status: 400, Code: "ExpiredTokenException", Message: "The security token has expired"})
			},
			[]string{"ExpiredTokenException", "The security token has expired", "renew it"},
		},
		"wrong keys": {
			func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "AKIDWRONG00000000000") },
			[]string{"UnrecognizedClientException", "AWS_ACCESS_KEY_ID"},
		},
		"no credentials": {
			func(t *testing.T, _ *ecrtest.Server) {
				t.Setenv("AWS_ACCESS_KEY_ID", "")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			},
			[]string{"no AWS credentials", "instance profile"},
		},
		"no route": {
			func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1") },
			[]string{"connection refused", "cannot be reached"},
		},
		"endpoint of another region": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{Status: 400, Code: "InvalidSignatureException", Message: "Credential should be scoped to a valid region. "})
			},
			[]string{"InvalidSignatureException", "not of region eu-west-1", "AWS_ENDPOINT_URL_ECR"},
		},
		"clock skew": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{
					Status: 400, Code: "InvalidSignatureException",
					Message: "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z",
				})
			},
			[]string{"InvalidSignatureException", "clock is wrong", "chrony"},
		},
		"connection dropped": {
			func(_ *testing.T, server *ecrtest.Server) { server.FailAPI(&ecrtest.Fault{}) },
			[]string{"EOF", "cannot be reached", "the runner's EnvConfigCredentials"},
		},
		"throttled": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"})
			},
			[]string{"ThrottlingException", "ECR_EXECUTOR_STATE_DIR"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			tt.arrange(t, server)
			_, err := newSubject(server, t.TempDir()).password(t, server.Host()+"/app")
			if err == nil {
				t.Fatal("no error")
			}
			said := err.Error() + "\nnext: " + failure.Remedy(err)
			for _, want := range append(tt.want, server.Host(), ecrtest.Region, Action) {
				if !strings.Contains(said, want) {
					t.Errorf("says %q, want %q", said, want)
				}
			}
			if failure.IsBuild(err) {
				t.Error("the runner's identity is not the job author's to mend")
			}
			if strings.Contains(err.Error(), ecrtest.SecretKey) {
				t.Errorf("the secret key shows in %q", err)
			}
		})
	}
}

func TestRemediesOfTheNetwork(t *testing.T) {
	registry, _ := ParseHost("111122223333.dkr.ecr.eu-wst-1.amazonaws.com")
	f := fetch{registry: registry, id: identity{role: &Role{ARN: roleA}}}
	for what, tt := range map[string]struct {
		action string
		err    error
		want   string
	}{
		"no such region": {Action, &net.DNSError{Err: "no such host", Name: "api.ecr.eu-wst-1.amazonaws.com", IsNotFound: true}, "check the region in the registry's name"},
		"DNS is down":    {Action, &net.DNSError{Err: "server misbehaving", IsTemporary: true}, "ecr.api"},
		"timeout":        {Action, context.DeadlineExceeded, "cannot be reached"},
		"STS":            {actionAssume, context.DeadlineExceeded, "com.amazonaws.eu-wst-1.sts"},
		"cancelled":      {Action, context.Canceled, "cancelled"},
		"configuration":  {Action, errors.New("failed to get shared config profile, nobody"), "AWS configuration"},
	} {
		err := f.fail(tt.action, fmt.Errorf("request send failed: %w", tt.err))
		if failure.IsBuild(err) || !strings.Contains(failure.Remedy(err), tt.want) || !strings.Contains(err.Error(), registry.Host) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, next: %s", what, err, failure.Remedy(err))
		}
	}
}
