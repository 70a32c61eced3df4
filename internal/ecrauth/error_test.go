package ecrauth

import (
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
