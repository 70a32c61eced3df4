package integration

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// Services are pulled with the same credentials, known by GitLab's names and by
// those given, and ready when the script begins.
func TestServices(t *testing.T) {
	s := newJob(t, "app",
		"wget -q -O - http://web/", "wget -q -O - http://site/", "wget -q -O - http://second:8080/",
		"wget -q -O - http://127.0.0.1-web/",
		"nslookup healthy >/dev/null && echo healthy is known", "ls /builds >/dev/null")
	s.Job.Variables["SIDE"] = ecr.Host()
	s.Job.Services = []replay.Image{
		{Name: "$SIDE/web:v1", Alias: "web, site", PullPolicies: []string{"always"}, Variables: map[string]string{"GREETING": "hello from $CI_PROJECT_PATH"}},
		{Name: ecr.Host() + "/app:v1", Alias: "second", Command: []string{"sh", "-c", "mkdir /w; echo second > /w/index.html; exec httpd -f -p 8080 -h /w"}},
		{Name: ecr.Host() + "/healthy:v1", Alias: "healthy"},
	}
	s.set("ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present")
	log := mustSucceed(t, s)
	expect(t, log, "Starting service "+ecr.Host()+"/web:v1", "hello from replay/project", "\nsecond\n", "healthy is known",
		"Pulling service image")
	// It takes a second until it is healthy.
	if !regexp.MustCompile(`/healthy:v1 is ready \([1-9][0-9.]*s\)`).MatchString(log) {
		t.Errorf("the HEALTHCHECK was not awaited:\n%s", log)
	}
}

// A service that does not come up is a warning with its log: whether the script
// needs it, the script knows.
func TestServiceThatFails(t *testing.T) {
	s := newJob(t, "app", "echo went on")
	s.Job.Services = []replay.Image{
		{Name: ecr.Host() + "/web:v1", Alias: "ends", Command: []string{"sh", "-c", "echo no config file >&2; exit 3"}},
		{Name: ecr.Host() + "/web:v1", Alias: "slow", Command: []string{"sleep", "600"}},
	}
	s.set("ECR_EXECUTOR_WAIT_FOR_SERVICES_TIMEOUT=2")
	expect(t, mustSucceed(t, s), "probably didn't start properly: it ended with exit code 3", "no config file", "it was not ready in time (2s)", "went on")
}

func TestServiceMistakes(t *testing.T) {
	tests := map[string]struct {
		service replay.Image
		says    string
	}{
		"missing":     {replay.Image{Name: "IMAGE/nowhere:v1"}, "service image"},
		"not allowed": {replay.Image{Name: "elsewhere.example/x"}, "is not allowed on this runner"},
		"no command":  {replay.Image{Name: "IMAGE/app:v1", Command: []string{"/no/such"}}, "check `command` and `entrypoint` of the service"},
		"no name":     {replay.Image{Alias: "x"}, "a service has no name"},
		"policy":      {replay.Image{Name: "IMAGE/app:v1", PullPolicies: []string{"sometimes"}}, `unknown pull policy "sometimes"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newJob(t, "app", "echo never run")
			tt.service.Name = strings.Replace(tt.service.Name, "IMAGE", ecr.Host(), 1)
			s.Job.Services = []replay.Image{tt.service}
			s.set("ECR_EXECUTOR_ALLOWED_SERVICES=" + ecr.Host() + "/*")
			result, log := s.play(t)
			var build *replay.BuildError
			if !errors.As(result.Err, &build) {
				t.Errorf("the job ended with %v, want a build failure", result.Err)
			}
			expect(t, log, tt.says)
		})
	}
}
