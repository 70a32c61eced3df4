package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// dind are the settings that matter to sidecars, as they are by default.
func dind() settings.Settings {
	return settings.Settings{
		DindImages: settings.List{"docker:*dind*", "**/docker:*dind*"}, DindImage: "docker:dind",
		DindSecurity: settings.DindConfined, WaitForServicesTimeout: 30,
	}
}

func TestImageAliases(t *testing.T) {
	tests := map[string][]string{
		"redis":               {"redis"},
		"redis:7":             {"redis"},
		"tutum/wordpress":     {"tutum__wordpress", "tutum-wordpress"},
		"mysql@sha256:" + sha: {"mysql"},
		"registry.example.com:5000/group/app:1.2":                {"registry.example.com__group__app", "registry.example.com-group-app"},
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/db:v": {"111122223333.dkr.ecr.eu-west-1.amazonaws.com__team__db", "111122223333.dkr.ecr.eu-west-1.amazonaws.com-team-db"},
		"$NAME:7": {"from-variable"},
	}
	vars := job(t, "NAME=from-variable").Variables
	for written, want := range tests {
		if got := imageAliases(written, vars); !slices.Equal(got, want) {
			t.Errorf("imageAliases(%q) = %q, want %q", written, got, want)
		}
	}
}

const sha = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestServices(t *testing.T) {
	j := job(t, "DB=shop")
	j.Services = []gitlab.Image{
		{
			Name: "postgres:16", Alias: "db, database", Command: []string{"-c", "fsync=off"}, Entrypoint: []string{"entry"},
			Variables: []gitlab.Variable{{Key: "POSTGRES_DB", Value: "$DB"}, {Key: "RAW", Value: "$DB", Raw: true}},
		},
		{Name: "elsewhere/postgres:15", Alias: "db replica"},
	}
	s := dind()
	s.ServiceCpus, s.ServiceMemory, s.Dns, s.Runtime = 1, 2, settings.List{"10.0.0.2"}, "runsc"
	p := mustPlan(t, j, s)
	if len(p.Services) != 2 || p.WaitForServices != 30*time.Second || p.Client != nil {
		t.Fatalf("services = %+v, wait %s, client %v", p.Services, p.WaitForServices, p.Client)
	}
	first, second := p.Services[0], p.Services[1]
	if !slices.Equal(first.Aliases, []string{"postgres", "db", "database"}) || !slices.Equal(second.Aliases, []string{"elsewhere__postgres", "elsewhere-postgres", "replica"}) {
		t.Errorf("aliases %q and %q", first.Aliases, second.Aliases)
	}
	if !slices.Contains(first.Env, "POSTGRES_DB=shop") || !slices.Contains(first.Env, "RAW=$DB") || slices.Contains(second.Env, "POSTGRES_DB=shop") {
		t.Errorf("variables %q and %q", first.Env, second.Env)
	}
	if !slices.Equal(first.Command, []string{"-c", "fsync=off"}) || !slices.Equal(first.Entrypoint, []string{"entry"}) {
		t.Errorf("command %q, entrypoint %q", first.Command, first.Entrypoint)
	}
	if first.NanoCPUs != 1 || first.Memory != 2 || first.Runtime != "runsc" || !slices.Equal(first.Resolver.Servers, []string{"10.0.0.2"}) {
		t.Errorf("limits and resolver: %+v", first.Container)
	}
	if first.Name == second.Name || first.Network != p.Network.Name || first.Security.Privileged || len(first.Security.CapAdd) > 0 {
		t.Errorf("containers %+v and %+v", first.Container, second.Container)
	}
	s.WaitForServicesTimeout = -1
	if p := mustPlan(t, j, s); p.WaitForServices != 0 {
		t.Errorf("waits %s although told not to", p.WaitForServices)
	}
}

func TestDaemonIsRecognised(t *testing.T) {
	tests := map[string]bool{
		"docker:dind": true, "docker:27-dind": true, "docker:19.03.12-dind": true, "docker:27-dind-rootless": true,
		"docker:dind@sha256:" + sha: true, "docker.io/library/docker:dind": true,
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/library/docker:27-dind": true,
		"$MIRROR/docker:27-dind": true,
		"docker:27":              false, "mydocker:dind": false, "dind:latest": false, "postgres:dind": false,
	}
	for image, want := range tests {
		j := job(t, "MIRROR=mirror.example:5000")
		j.Services = []gitlab.Image{{Name: image}}
		p := mustPlan(t, j, dind())
		if got := p.Docker() != nil; got != want {
			t.Errorf("%s is a daemon: %v, want %v", image, got, want)
		}
		if want && !slices.Contains(p.Docker().Aliases, "docker") {
			t.Errorf("%s is known as %q, want docker among them", image, p.Docker().Aliases)
		}
	}
}

func TestDaemonByVariable(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "1": true, "false": false, "": false, "maybe": false} {
		p := mustPlan(t, job(t, "ECR_DIND="+value), dind())
		if got := p.Docker() != nil; got != want {
			t.Errorf("ECR_DIND=%q: %v, want %v", value, got, want)
		}
	}
	if _, err := New(job(t, "ECR_DIND=true"), settings.Settings{DindImage: "docker:dind"}, nil); err == nil || !failure.IsBuild(err) {
		t.Errorf("sidecars are turned off: error = %v", err)
	}
	j := job(t, "ECR_DIND=true")
	j.Services = []gitlab.Image{{Name: "docker:27-dind"}}
	if p := mustPlan(t, j, dind()); len(p.Services) != 1 || !strings.Contains(p.Services[0].Image.Name, "27-dind") {
		t.Errorf("a job that names its daemon gets %+v", p.Services)
	}
}

func withUser(name string) gitlab.Image {
	image := gitlab.Image{Name: name}
	image.Options.Docker.User = "1000"
	return image
}

func TestServiceMistakes(t *testing.T) {
	tests := map[string]struct {
		services []gitlab.Image
		change   func(*settings.Settings)
		build    bool
		want     string
	}{
		"two daemons": {services: []gitlab.Image{{Name: "docker:dind"}, {Name: "docker:27-dind"}}, build: true, want: "has a Docker daemon already: docker:dind"},
		"a user":      {services: []gitlab.Image{withUser("docker:dind")}, build: true, want: "runs as its image's user"},
		"its alias":   {services: []gitlab.Image{{Name: "redis", Alias: "docker"}, {Name: "docker-ci:1"}}, change: func(s *settings.Settings) { s.DindImages = settings.List{"docker-ci:*"} }, build: true, want: "has the alias \"docker\""},
		"no name":     {services: []gitlab.Image{{}}, build: true, want: "a service has no name"},
		"bad name":    {services: []gitlab.Image{{Name: "Not A Name"}}, build: true, want: "Not A Name"},
		"bad pattern": {
			services: []gitlab.Image{{Name: "redis"}}, want: "ECR_EXECUTOR_DIND_IMAGES",
			change: func(s *settings.Settings) { s.DindImages = settings.List{"[a"} },
		},
	}
	for name, tt := range tests {
		j, s := job(t), dind()
		j.Services = tt.services
		if tt.change != nil {
			tt.change(&s)
		}
		_, err := New(j, s, nil)
		if err == nil || failure.IsBuild(err) != tt.build || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error = %v (build failure: %v), want %q", name, err, failure.IsBuild(err), tt.want)
		}
	}
}
