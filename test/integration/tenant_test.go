package integration

import (
	"encoding/base64"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// An image that is on the engine because one job brought credentials for it is
// not for a job that has none.
func TestLocalImagesOfOthers(t *testing.T) {
	state := t.TempDir()
	newTenant := func(auth bool, settings ...string) *subject {
		s := newJob(t, "tenant", "echo in the image")
		if auth {
			token := base64.StdEncoding.EncodeToString([]byte("AWS:" + ecr.Token()))
			s.Secrets = map[string]string{"DOCKER_AUTH_CONFIG": `{"auths": {"` + ecr.Host() + `": {"auth": "` + token + `"}}}`}
		}
		// The runner itself has no credentials for the registry.
		return s.set("ECR_EXECUTOR_ECR_HOSTS=", "ECR_EXECUTOR_STATE_DIR="+state).set(settings...)
	}
	expect(t, mustSucceed(t, newTenant(true)), "Pulling job image", "in the image")
	expect(t, mustSucceed(t, newTenant(true)), "Using local job image", "in the image")

	result, log := newTenant(false).play(t)
	var build *replay.BuildError
	if !errors.As(result.Err, &build) {
		t.Errorf("the job of somebody else ended with %v", result.Err)
	}
	expect(t, log, "it is on this engine for another job", "the pull was anonymous")

	expect(t, mustSucceed(t, newTenant(false, "ECR_EXECUTOR_VERIFY_LOCAL_IMAGES=false")), "Using local job image")
}

// What the host's Docker config opens, with a credential helper, is for the
// driver; jobs get it for the registries that the operator names.
func TestHostDockerConfig(t *testing.T) {
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + ecr.Token()))
	writeFile(t, dir+"/config.json", `{"auths": {"`+ecr.Host()+`": {"auth": "`+auth+`"}, "`+inner+`": {"auth": "`+auth+`"}}}`)
	newHostJob := func(settings ...string) *subject {
		s := newDockerJob(t, `docker pull -q "$PRIVATE" 2>&1 || true`, `grep -c '"auth"' "$DOCKER_CONFIG/config.json" || true`)
		s.Job.Services = append(s.Job.Services, replay.Image{Name: ecr.Host() + "/app:v1", Alias: "side", PullPolicies: []string{"always"}})
		return s.set("ECR_EXECUTOR_ECR_HOSTS=", "DOCKER_CONFIG="+dir, "ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present").set(settings...)
	}
	expect(t, mustSucceed(t, newHostJob()), "Authenticating to "+ecr.Host()+" with credentials from "+dir+"/config.json", "no basic auth credentials", "\n0\n")
	expect(t, mustSucceed(t, newHostJob("ECR_EXECUTOR_REGISTRIES="+inner)), "logged in to "+inner, "\n"+inner+"/app:v1\n", "\n1\n")
}

// Images of Docker Hub come from the repository that ECR keeps them in.
func TestPullThrough(t *testing.T) {
	s := newJob(t, "app", "echo from the cache")
	s.Job.Image.Name = "busybox:1"
	s.Job.Services = []replay.Image{{Name: "tools/web:v1", Alias: "web"}}
	s.set("ECR_EXECUTOR_PULL_THROUGH=docker.io="+ecr.Host()+"/hub", "ECR_EXECUTOR_HELPER_IMAGE="+tagForLocalhost(t))
	result, log := s.play(t)
	if result.Err == nil {
		t.Error("the job succeeded without the images")
	}
	expect(t, log, "Pulling job image "+ecr.Host()+"/hub/library/busybox:1 (for docker.io/library/busybox:1)", "pull-through")

	s = newJob(t, "app", "wget -q -O /dev/null http://tools-web/ && echo from the cache")
	s.Job.Image.Name = "app:v1"
	s.Job.Services = []replay.Image{{Name: "tools/web:v1"}}
	s.set("ECR_EXECUTOR_PULL_THROUGH=docker.io="+ecr.Host()+"/hub", "ECR_EXECUTOR_HELPER_IMAGE="+tagForLocalhost(t))
	for _, image := range []string{"hub/library/app", "hub/tools/web"} {
		if err := ecr.Copy(t.Context(), image[strings.LastIndex(image, "/")+1:], image); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, mustSucceed(t, s), "(for docker.io/library/app:v1)", "known as tools__web, tools-web", "from the cache")
}

// tagForLocalhost gives the helper image a name that is not Docker Hub's.
func tagForLocalhost(t *testing.T) string {
	t.Helper()
	local := strings.Replace(helperImage, "gitlab-ecr-executor", "localhost/gitlab-ecr-executor", 1)
	if out, err := exec.Command("docker", "tag", helperImage, local).CombinedOutput(); err != nil {
		t.Fatalf("docker tag: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", local).Run() })
	return local
}
