package plan

import (
	"slices"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

func TestImageNames(t *testing.T) {
	const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	tests := map[string]string{
		"busybox":                       "docker.io/library/busybox:latest",
		"busybox@" + digest:             "docker.io/library/busybox@" + digest,
		"$PRIVATE_ECR_IMAGE":            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/app:v1",
		"127.0.0.1:5000/app":            "127.0.0.1:5000/app:latest",
		"registry.example/a/b/c:1.2-x_": "registry.example/a/b/c:1.2-x_",
	}
	for written, want := range tests {
		j := job(t, "PRIVATE_ECR_IMAGE=$REGISTRY/app:v1", "REGISTRY=111122223333.dkr.ecr.eu-west-1.amazonaws.com")
		j.Image.Name = written
		if got := mustPlan(t, j, settings.Settings{}).Build.Image.Name; got != want {
			t.Errorf("image %q = %q, want %q", written, got, want)
		}
	}
	j := job(t)
	j.Image.Name = ""
	if got := mustPlan(t, j, settings.Settings{Image: "alpine:3"}).Build.Image.Name; got != "docker.io/library/alpine:3" {
		t.Errorf("default image = %q", got)
	}
}

func TestAllowedImages(t *testing.T) {
	allowed := settings.List{"alpine:*", "docker.io/library/debian:*", "*.dkr.ecr.*.amazonaws.com/**"}
	tests := map[string]bool{
		"alpine:3":      true,
		"debian":        true, // by its full name
		"alpine":        false,
		"evil/alpine:3": false,
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1": true,
		"default:1": true, // the operator's own image needs no permission
	}
	for image, want := range tests {
		j := job(t)
		j.Image.Name = image
		_, err := New(j, settings.Settings{AllowedImages: allowed, Image: "default:1"}, nil)
		if (err == nil) != want {
			t.Errorf("image %s: error = %v, want allowed = %v", image, err, want)
		}
	}
	_, err := New(job(t), settings.Settings{AllowedImages: settings.List{"[a"}}, nil)
	if err == nil || failure.IsBuild(err) {
		t.Errorf("a broken pattern: error = %v, want the operator's failure", err)
	}
}

func TestPullPolicies(t *testing.T) {
	always, present, never := settings.PullAlways, settings.PullIfNotPresent, settings.PullNever
	tests := map[string]struct {
		requested           []string
		configured, allowed settings.PullPolicies
		want                settings.PullPolicies
	}{
		"default":                {want: settings.PullPolicies{always}},
		"the operator's":         {configured: settings.PullPolicies{present, always}, want: settings.PullPolicies{present, always}},
		"the job's within those": {requested: []string{"always", "never"}, configured: settings.PullPolicies{present, always}, want: settings.PullPolicies{always}},
		"allowed ones in the job's order": {
			requested: []string{"never", "always"}, allowed: settings.PullPolicies{always, present, never},
			want: settings.PullPolicies{never, always},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pullPolicies(tt.requested, settings.Settings{PullPolicy: tt.configured, AllowedPullPolicies: tt.allowed})
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestHelperImage(t *testing.T) {
	tests := map[string]struct{ arch, version, want string }{
		"release":     {"linux/amd64", "19.3.0", defaultHelper + ":x86_64-v19.3.0"},
		"arm64":       {"linux/arm64", "15.4.2", defaultHelper + ":arm64-v15.4.2"},
		"beta":        {"linux/arm64", "19.4.0~beta.1.gabc", defaultHelper + ":arm64-v19.4.0"},
		"development": {"linux/s390x", "development version", defaultHelper + ":s390x-latest"},
		"unknown":     {"", "", defaultHelper + ":x86_64-latest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := job(t)
			j.RunnerArch, j.RunnerVersion = tt.arch, tt.version
			got := mustPlan(t, j, settings.Settings{PullPolicy: settings.PullPolicies{settings.PullAlways}}).Helper.Image
			if got.Name != tt.want || !slices.Equal(got.Policies, settings.PullPolicies{settings.PullIfNotPresent}) {
				t.Errorf("helper = %+v, want %s", got, tt.want)
			}
		})
	}
	own := mustPlan(t, job(t, "MIRROR=mirror.example"), settings.Settings{HelperImage: "$MIRROR/helper:1"}).Helper.Image
	if own.Name != "mirror.example/helper:1" || !slices.Equal(own.Policies, settings.PullPolicies{settings.PullAlways}) {
		t.Errorf("own helper = %+v", own)
	}
	if _, err := New(job(t), settings.Settings{HelperImage: "Not An Image"}, nil); err == nil || failure.IsBuild(err) {
		t.Errorf("a broken HELPER_IMAGE: error = %v, want the operator's failure", err)
	}
}
