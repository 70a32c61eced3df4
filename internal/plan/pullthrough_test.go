package plan

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

func TestPullThrough(t *testing.T) {
	const cache = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/"
	s := dind()
	s.PullThrough = settings.Pairs{"docker.io": cache + "docker-hub", "quay.io": cache + "quay/", "registry.gitlab.com": cache + "gitlab"}
	tests := map[string]string{
		"busybox":                        cache + "docker-hub/library/busybox:latest",
		"busybox:1@sha256:" + sha:        cache + "docker-hub/library/busybox:1@sha256:" + sha,
		"bitnami/redis:7":                cache + "docker-hub/bitnami/redis:7",
		"docker.io/library/golang:1":     cache + "docker-hub/library/golang:1",
		"quay.io/skopeo/stable:v1":       cache + "quay/skopeo/stable:v1",
		"ghcr.io/owner/app:1":            "ghcr.io/owner/app:1",
		cache + "docker-hub/x:1":         cache + "docker-hub/x:1",
		"docker.io.evil.example/x:1":     "docker.io.evil.example/x:1",
		"registry.gitlab.com/group/x:v2": cache + "gitlab/group/x:v2",
	}
	for written, want := range tests {
		j := job(t)
		j.Image.Name = written
		j.Services = []gitlab.Image{{Name: written}}
		p := mustPlan(t, j, s)
		for _, image := range []Image{p.Build.Image, p.Services[0].Image} {
			if image.Name != want || (image.Upstream != "") != (want != written) {
				t.Errorf("%s image %s is pulled as %s (for %q), want %s", image.Role, written, image.Name, image.Upstream, want)
			}
		}
		if !strings.HasPrefix(p.Helper.Image.Name, cache+"gitlab/gitlab-org/") {
			t.Errorf("the helper is pulled as %s", p.Helper.Image.Name)
		}
	}
	// The job's own name decides what it is allowed and known as.
	s.AllowedImages, s.AllowedServices = settings.List{"busybox"}, settings.List{"docker:*"}
	j := job(t)
	j.Services = []gitlab.Image{{Name: "docker:27-dind"}}
	if p := mustPlan(t, j, s); p.Docker() == nil || p.Docker().Aliases[0] != "docker" || p.Docker().Image.Name != cache+"docker-hub/library/docker:27-dind" {
		t.Errorf("services = %+v", p.Services)
	}
	for _, prefix := range []string{"Not a prefix", "docker-hub", ""} {
		s.PullThrough = settings.Pairs{"docker.io": prefix}
		if _, err := New(job(t), s, nil); err == nil || failure.IsBuild(err) || !strings.Contains(err.Error(), "ECR_EXECUTOR_PULL_THROUGH") {
			t.Errorf("prefix %q: error = %v", prefix, err)
		}
	}
}

// Whatever a job calls an image, it is refused or pulled from the one registry
// that the name means: the upstream's, or the cache's.
func FuzzImage(f *testing.F) {
	const cache = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
	for _, seed := range []string{
		"busybox", "docker.io/library/x:1", "index.docker.io/x", cache + "/a", "user@evil.example/x", "docker.io.evil.example/x",
		"UPPER/x", "a//b", "x@sha256:" + sha, "localhost:5000/x", "../x", "$NAME", "xn--docker-io/x", "docker.io/../../evil/x",
	} {
		f.Add(seed)
	}
	s := settings.Settings{PullThrough: settings.Pairs{"docker.io": cache + "/hub"}}
	f.Fuzz(func(t *testing.T, written string) {
		name, err := imageName(written, gitlab.Variables{})
		if err != nil {
			if !failure.IsBuild(err) {
				t.Errorf("%q: a system failure: %v", written, err)
			}
			return
		}
		image, err := Image{Name: name}.through(s)
		if err != nil {
			if !failure.IsBuild(err) || len(name) < 128 {
				t.Errorf("%q: %v", written, err)
			}
			return
		}
		named, err := reference.ParseNormalizedNamed(image.Name)
		if err != nil {
			t.Fatalf("%q became %q: %v", written, image.Name, err)
		}
		before, _ := reference.ParseNormalizedNamed(name)
		want := reference.Domain(before)
		if want == "docker.io" {
			want = cache
		}
		if reference.Domain(named) != want || (image.Upstream != "") != strings.HasPrefix(image.Name, cache+"/hub/") && reference.Domain(before) != cache {
			t.Errorf("%q is pulled as %q, want from %s", written, image.Name, want)
		}
	})
}
