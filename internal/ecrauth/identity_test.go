package ecrauth

import (
	"errors"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

func TestIdentity(t *testing.T) {
	server := setup(t)
	keychain := New(Options{Hosts: map[string]string{server.Host(): ecrtest.Region}})
	// The server's STS knows two regions only: the one of its registry, and
	// us-east-1.
	for _, hosts := range [][]string{{"docker.io", server.Host()}, nil} {
		arn, source, err := keychain.Identity(t.Context(), hosts)
		if err != nil || arn != ecrtest.Principal || source != "EnvConfigCredentials" {
			t.Errorf("Identity(%q) = %q, %q, %v", hosts, arn, source, err)
		}
	}
	t.Setenv("AWS_REGION", ecrtest.Region)
	if _, _, err := keychain.Identity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestIdentityErrors(t *testing.T) {
	tests := map[string]struct {
		arrange      func(t *testing.T, server *ecrtest.Server)
		code, remedy string
		unreachable  bool
	}{
		"no credentials": {func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "") }, "", "attach an instance profile", false},
		"unknown keys":   {func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN") }, "InvalidClientTokenId", "AWS does not know these keys", false},
		"expired": {func(_ *testing.T, server *ecrtest.Server) {
			server.FailSTS(&ecrtest.Fault{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"})
		}, "ExpiredToken", "renew it", false},
		"clock": {func(_ *testing.T, server *ecrtest.Server) {
			server.FailSTS(&ecrtest.Fault{Status: 403, Code: "SignatureDoesNotMatch", Message: "Signature expired: 20260101T000000Z is now earlier than"})
		}, "SignatureDoesNotMatch", "clock", false},
		"nobody there": {func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1") }, "", "VPC endpoint com.amazonaws.eu-west-1.sts", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			tt.arrange(t, server)
			_, _, err := New(Options{Hosts: map[string]string{server.Host(): ecrtest.Region}}).Identity(t.Context(), []string{server.Host()})
			var identity *IdentityError
			if !errors.As(err, &identity) {
				t.Fatalf("error %v", err)
			}
			if identity.Code != tt.code || identity.Unreachable() != tt.unreachable || !strings.Contains(failure.Remedy(err), tt.remedy) || failure.IsBuild(err) {
				t.Errorf("code %q, unreachable %t, %v; remedy %q", identity.Code, identity.Unreachable(), err, failure.Remedy(err))
			}
		})
	}
}
