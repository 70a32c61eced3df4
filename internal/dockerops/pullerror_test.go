package dockerops

import (
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/docker/client"
	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// What engines and registries say, as seen or as their sources have it.
func TestJudgePull(t *testing.T) {
	tests := map[string]struct {
		says             string
		build, transient bool
		remedy           string
	}{
		"tag":       {"manifest for r.example/app:v9 not found: manifest unknown: Requested image not found", true, false, "this tag"},
		"repo":      {"name unknown: The repository with name 'app' does not exist in the registry with id '111122223333'", true, false, "repository app"},
		"anonymous": {"Head \"https://r.example/v2/app/manifests/v1\": no basic auth credentials", true, false, "may not pull app"},
		"403":       {"denied: User: arn:aws:sts::1:assumed-role/ci is not authorized to perform: ecr:BatchGetImage", true, false, "ecr:BatchGetImage"},
		"platform":  {"no matching manifest for linux/arm64/v8 in the manifest list entries", true, false, "platform"},
		"expired":   {"denied: Your authorization token has expired. Reauthenticate and try again.", false, true, "clock"},
		"limit":     {"toomanyrequests: Rate exceeded", false, true, "pull-through"},
		"disk":      {"failed to register layer: write /x: no space left on device", false, false, "docker system df"},
		"network":   {"read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer", false, true, "reaches r.example"},
		"5xx":       {"received unexpected HTTP status: 503 Service Unavailable", false, true, "reaches r.example"},
		"new words": {"the gremlins have it", false, true, "reaches r.example"},
	}
	api, err := client.NewClientWithOpts()
	if err != nil {
		t.Fatal(err)
	}
	engine := &Engine{api: api, log: logrus.New()}
	named, err := reference.ParseNormalizedNamed("r.example/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cause := &pullError{tt.says}
			err := engine.judgePull(cause, named, plan.Image{}, "Amazon ECR")
			if failure.IsBuild(err) != tt.build || isTransient(err) != tt.transient || !strings.Contains(failure.Remedy(err), tt.remedy) {
				t.Errorf("build %v, transient %v, remedy %q", failure.IsBuild(err), isTransient(err), failure.Remedy(err))
			}
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the registry's own words are lost: %v", err)
			}
		})
	}
	through := plan.Image{Upstream: "docker.io/library/app:v1"}
	for _, says := range []string{"denied: not authorized", "manifest unknown"} {
		if remedy := failure.Remedy(engine.judgePull(&pullError{says}, named, through, "Amazon ECR")); !strings.Contains(remedy, "pull-through") || !strings.Contains(remedy, through.Upstream) {
			t.Errorf("through the cache: %q", remedy)
		}
	}
	if remedy := failure.Remedy(engine.judgePull(&pullError{"unauthorized"}, named, plan.Image{}, "")); !strings.Contains(remedy, "anonymous") {
		t.Errorf("without credentials: %q", remedy)
	}
}

func TestEncodeAuthNamesTheRegistry(t *testing.T) {
	header, err := encodeAuth("r.example", registryauth.Credential{Username: "AWS", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	// base64url of {"username":"AWS","password":"secret","serveraddress":"r.example"}
	const want = "eyJ1c2VybmFtZSI6IkFXUyIsInBhc3N3b3JkIjoic2VjcmV0Iiwic2VydmVyYWRkcmVzcyI6InIuZXhhbXBsZSJ9"
	if header != want {
		t.Errorf("header = %s, want %s", header, want)
	}
}
