package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// job returns a job of the contract's environment with these variables on top.
func job(t *testing.T, variables ...string) gitlab.Job {
	t.Helper()
	entries := []string{
		"CUSTOM_ENV_CI_JOB_ID=42", "CUSTOM_ENV_CI_PROJECT_ID=7", "CUSTOM_ENV_CI_SERVER_URL=https://gitlab.example",
		"CUSTOM_ENV_CI_JOB_IMAGE=busybox", "CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=T1_ab",
		"CUSTOM_ENV_CI_RUNNER_VERSION=19.3.0", "CUSTOM_ENV_CI_RUNNER_EXECUTABLE_ARCH=linux/amd64",
		"CUSTOM_ENV_CI_PROJECT_DIR=/builds/group/app",
	}
	for _, variable := range variables {
		entries = append(entries, "CUSTOM_ENV_"+variable)
	}
	job, err := gitlab.NewEnviron(entries).Job()
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func mustPlan(t *testing.T, j gitlab.Job, s settings.Settings) Plan {
	t.Helper()
	p, err := New(j, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanIsDeterministic(t *testing.T) {
	s := settings.Settings{ContainerLabels: settings.Pairs{"team": "a", LabelJob: "stolen"}}
	first, second := mustPlan(t, job(t), s), mustPlan(t, job(t), s)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("two stages plan differently:\n%+v\n%+v", first, second)
	}
	if first.Build.Labels["team"] != "a" || first.Build.Labels[LabelJob] != first.Key {
		t.Errorf("labels = %v", first.Build.Labels)
	}
}

func TestContainers(t *testing.T) {
	j := job(t)
	j.Image.Entrypoint = []string{""}
	j.Timeout = 90 * time.Second
	p := mustPlan(t, j, settings.Settings{Cpus: 1, Memory: 2, ShmSize: 3, NetworkMtu: 1400})
	if p.Helper.Hostname != "runner-t1ab-project-7-concurrent-0" {
		t.Errorf("hostname = %q", p.Helper.Hostname)
	}
	if p.Build.NetworkOf != p.Helper.Name || p.Helper.Network != p.Network.Name || p.Network.MTU != 1400 {
		t.Errorf("the job container does not share the helper's network: %+v", p)
	}
	if !slices.Contains(p.Helper.Aliases, "build") {
		t.Error("the job is not known as build on its network")
	}
	if p.Build.NanoCPUs != 1 || p.Build.Memory != 2 || p.Build.ShmSize != 3 || p.Helper.Memory != 2 || p.Helper.NanoCPUs != 1 {
		t.Error("limits are for the containers of job and helper")
	}
	if p.Network.Labels[LabelTimeout] != "90" || p.Network.Labels[LabelJob] != Key(j.Identity) {
		t.Errorf("labels = %v", p.Network.Labels)
	}
	if !reflect.DeepEqual(p.Build.Entrypoint, []string{""}) {
		t.Errorf("entrypoint = %q", p.Build.Entrypoint)
	}
	p = mustPlan(t, j, settings.Settings{DisableEntrypointOverwrite: true})
	if p.Build.Entrypoint != nil {
		t.Errorf("entrypoint = %q although overwriting is disabled", p.Build.Entrypoint)
	}
}

func TestUser(t *testing.T) {
	j := job(t, "WHO=1000")
	j.Image.Options.Docker.User = "$WHO"
	if got := mustPlan(t, j, settings.Settings{}).Build.User; got != "1000" {
		t.Errorf("user = %q, want the job's", got)
	}
	if got := mustPlan(t, j, settings.Settings{User: "ci"}).Build.User; got != "ci" {
		t.Errorf("user = %q, want the operator's", got)
	}
}

func TestVolumes(t *testing.T) {
	volumes := func(change func(*gitlab.Job)) []string {
		j := job(t, "GIT_STRATEGY=fetch")
		change(&j)
		var names []string
		for _, mount := range mustPlan(t, j, settings.Settings{}).Build.Mounts {
			names = append(names, mount.Volume)
		}
		return names
	}
	base := volumes(func(*gitlab.Job) {})
	if same := volumes(func(j *gitlab.Job) { j.ID = 43 }); !slices.Equal(same, base) {
		t.Errorf("the next job of the slot gets %q, want %q", same, base)
	}
	for name, change := range map[string]func(*gitlab.Job){
		"server":    func(j *gitlab.Job) { j.Server = "https://other.example" },
		"project":   func(j *gitlab.Job) { j.ProjectID = 8 },
		"runner":    func(j *gitlab.Job) { j.Runner = "other" },
		"slot":      func(j *gitlab.Job) { j.Slot = 1 },
		"protected": func(j *gitlab.Job) { j.Protected = true },
	} {
		for i, volume := range volumes(change) {
			if volume == base[i] {
				t.Errorf("jobs of another %s share %s", name, volume)
			}
		}
	}
	fresh := volumes(func(j *gitlab.Job) { j.KeepSources = false })
	if fresh[0] == base[0] || !strings.Contains(fresh[0], "gitlab-job-42-") || fresh[1] != base[1] {
		t.Errorf("without fetch the volumes are %q, want sources of this job alone and the shared cache", fresh)
	}
}

func TestKey(t *testing.T) {
	a := Key(gitlab.Identity{Server: "https://a.example", ID: 1})
	if b := Key(gitlab.Identity{Server: "https://b.example", ID: 1}); a == b {
		t.Error("jobs of two servers share a key")
	}
	if c := Key(gitlab.Identity{Server: "https://a.example", ID: 11}); a == c {
		t.Error("two jobs share a key")
	}
}

func TestMistakesAreBuildFailures(t *testing.T) {
	tests := map[string]struct {
		change func(*gitlab.Job, *settings.Settings)
		want   []string
	}{
		"no image":        {func(j *gitlab.Job, _ *settings.Settings) { j.Image.Name = "" }, []string{"names no image", "ECR_EXECUTOR_IMAGE"}},
		"not a reference": {func(j *gitlab.Job, _ *settings.Settings) { j.Image.Name = "Bad Image" }, []string{`"Bad Image"`, "registry/repository:tag"}},
		"unset variable": {
			func(j *gitlab.Job, _ *settings.Settings) { j.Image.Name = "$NOWHERE/app" },
			[]string{`"$NOWHERE/app" (expanded to "/app")`, "set NOWHERE"},
		},
		"pull policy": {
			func(j *gitlab.Job, _ *settings.Settings) { j.Image.PullPolicies = []string{"often"} },
			[]string{`unknown pull policy "often"`},
		},
		"pull policy not allowed": {
			func(j *gitlab.Job, _ *settings.Settings) { j.Image.PullPolicies = []string{"never"} },
			[]string{"not allowed", `["always"]`},
		},
		"service not allowed": {
			func(j *gitlab.Job, s *settings.Settings) {
				j.Services, s.AllowedServices = []gitlab.Image{{Name: "redis:7"}}, settings.List{"postgres:*"}
			},
			[]string{"redis:7 is not allowed", "postgres:*"},
		},
		"image not allowed": {
			func(_ *gitlab.Job, s *settings.Settings) { s.AllowedImages = settings.List{"alpine:*"} },
			[]string{"busybox is not allowed", "alpine:*"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j, s := job(t), settings.Settings{}
			tt.change(&j, &s)
			_, err := New(j, s, nil)
			if err == nil || !failure.IsBuild(err) {
				t.Fatalf("error = %v, want a build failure", err)
			}
			for _, want := range tt.want {
				if said := err.Error() + "\n" + failure.Remedy(err); !strings.Contains(said, want) {
					t.Errorf("says %q, want %q", said, want)
				}
			}
		})
	}
}
