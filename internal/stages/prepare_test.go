package stages

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func newRegistries() *fakeRegistries { return &fakeRegistries{host: ecrHost, token: "first"} }

func TestPrepare(t *testing.T) {
	s, log := newStage(t, newRegistries(), `CI_JOB_SERVICES=[{"name": "docker:27-dind"}, {"name": "redis:7"}, {"name": "`+ecrHost+`/app:v1"}]`)
	engine := newFakeEngine()
	if err := s.Prepare(t.Context(), engine); err != nil {
		t.Fatalf("%v\n%q", err, engine.calls)
	}
	// Helper, dind, redis, and one image that job and service share.
	if n := engine.count("EnsureImage"); n != 4 {
		t.Errorf("%d images were looked for, want 4: %q", n, engine.calls)
	}
	if len(engine.created) != 5 || len(engine.started) != 4 {
		t.Errorf("created %v, started %v: want five, and all but the job's started", engine.created, engine.started)
	}
	if config := string(engine.files["/gitlab-docker/config/config.json"]); !strings.Contains(config, ecrHost) {
		t.Errorf("the job's Docker config is %q", config)
	}
	if strings.Contains(log.String(), "first") {
		t.Errorf("a token is in the log:\n%s", log)
	}
	for _, want := range []string{"logged in to " + ecrHost + " with credentials from fake ECR", "Docker 27.0 is ready", "known as docker", "Service redis:7 is ready"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestPrepareFailures(t *testing.T) {
	broken := errors.New("broken")
	const services = `CI_JOB_SERVICES=[{"name": "docker:27-dind"}, {"name": "redis:7"}]`
	tests := map[string]struct {
		fail   map[string][]error
		cached bool
		fails  bool
		says   string
	}{
		"network":                     {fail: map[string][]error{"CreateNetwork": {broken}}, fails: true},
		"container":                   {fail: map[string][]error{"CreateContainer": {nil, broken}}, fails: true},
		"start":                       {fail: map[string][]error{"StartContainer": {broken}}, fails: true},
		"files":                       {fail: map[string][]error{"PutFiles": {broken}}, fails: true},
		"daemon":                      {fail: map[string][]error{"WaitForDaemon": {broken}}, fails: true},
		"daemon with a cache":         {fail: map[string][]error{"WaitForDaemon": {broken}}, cached: true, says: "Removing the cache and starting anew"},
		"daemon with a cache, twice":  {fail: map[string][]error{"WaitForDaemon": {broken, broken}}, cached: true, fails: true},
		"a cache that does not go":    {fail: map[string][]error{"WaitForDaemon": {broken}, "DiscardCache": {broken}}, cached: true, fails: true},
		"a cache and a taken name":    {fail: map[string][]error{"CreateContainer": {nil, broken}}, cached: true, fails: true},
		"service":                     {fail: map[string][]error{"WaitForService": {broken}}, says: "redis:7 probably didn't start properly: broken"},
		"what earlier jobs left":      {fail: map[string][]error{"Reap": {broken}}, says: "Removing what earlier jobs left: broken"},
		"none":                        {says: "Prepared in"},
		"image that cannot be pulled": {fail: map[string][]error{"EnsureImage": {nil, nil, broken}}, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, log := newStage(t, newRegistries(), services, "WHERE="+ecrHost)
			engine := newFakeEngine()
			engine.cached = tt.cached
			for method, failures := range tt.fail {
				engine.fail[method] = failures
			}
			err := s.Prepare(t.Context(), engine)
			if (err != nil) != tt.fails || (tt.fails && !errors.Is(err, broken)) {
				t.Errorf("error = %v, want one: %v", err, tt.fails)
			}
			if tt.fails && !strings.Contains(name, "twice") && !strings.Contains(name, "does not go") && engine.count("DiscardCache") > 0 {
				t.Error("a cache was thrown away that nothing is wrong with")
			}
			if !strings.Contains(log.String(), tt.says) {
				t.Errorf("the log lacks %q:\n%s", tt.says, log)
			}
		})
	}
}

// A registry without credentials is no reason to fail a job that only names it.
func TestPrepareWithoutCredentials(t *testing.T) {
	registries := newRegistries()
	registries.err = errors.New("AccessDenied")
	s, log := newStage(t, registries, "CI_JOB_IMAGE=busybox", "WHERE="+ecrHost, "ECR_DIND=true")
	engine := newFakeEngine()
	if err := s.Prepare(t.Context(), engine); err != nil {
		t.Fatal(err)
	}
	if want := "Docker in the script gets no credentials for " + ecrHost + ": AccessDenied"; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, log)
	}
}

func TestDockerAuthConfigComesFirst(t *testing.T) {
	const own = `DOCKER_AUTH_CONFIG={"auths": {"` + ecrHost + `": {"username": "me", "password": "mine"}, "other.example/group": {"username": "me", "password": "mine"}}}`
	s, log := newStage(t, newRegistries(), own, "ECR_DIND=true")
	engine := newFakeEngine()
	if err := s.Prepare(t.Context(), engine); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(engine.calls, "\n"), "app:v1 the job's DOCKER_AUTH_CONFIG") {
		t.Errorf("the image is pulled otherwise: %q", engine.calls)
	}
	if config := string(engine.files["/gitlab-docker/config/config.json"]); !strings.Contains(config, "other.example/group") || strings.Contains(log.String(), "fake ECR") {
		t.Errorf("config %s, log:\n%s", config, log)
	}
	s, log = newStage(t, newRegistries(), "DOCKER_AUTH_CONFIG={broken")
	if err := s.Prepare(t.Context(), newFakeEngine()); err != nil || !strings.Contains(log.String(), "Not used: ") {
		t.Errorf("a broken DOCKER_AUTH_CONFIG: error = %v, log:\n%s", err, log)
	}
}

// Nobody else cleans up after a runner that was killed.
func TestAbandoned(t *testing.T) {
	s, _ := newStage(t, newRegistries())
	for cause, want := range map[error]int{ErrRunnerGone: 1, context.Canceled: 0} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		engine := newFakeEngine()
		_ = s.Prepare(ctx, engine)
		if n := engine.count("Remove"); n != want {
			t.Errorf("after %v: %d clean-ups, want %d", cause, n, want)
		}
	}
}

func TestRegistriesOfAJob(t *testing.T) {
	tests := map[string]struct {
		variables []string
		operator  []string
		want      bool
	}{
		"nothing":                {variables: []string{"CI_JOB_IMAGE=busybox"}},
		"its image alone":        {},
		"its image, on a daemon": {variables: []string{`CI_JOB_SERVICES=[{"name": "docker:dind"}]`}, want: true},
		"a variable":             {variables: []string{"URL=https://" + ecrHost + "/v2/"}, want: true},
		"a nested variable":      {variables: []string{"ACCOUNT=111122223333", "REGISTRY=${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"}, want: true},
		"a look-alike":           {variables: []string{"URL=" + ecrHost + ".evil.example/x"}},
		"the operator's":         {operator: []string{ecrHost}, want: true},
	}
	for name, tt := range tests {
		s, _ := newStage(t, newRegistries(), tt.variables...)
		s.Settings.Registries = tt.operator
		job, err := s.Environ.Job()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.registriesOf(job); (len(got) == 1) != tt.want || len(got) > 1 {
			t.Errorf("%s: registries %q, want one: %v", name, got, tt.want)
		}
	}
}
