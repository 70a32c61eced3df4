package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// scriptEngine runs scripts that take a while.
type scriptEngine struct {
	*fakeEngine
	script func(stdout, stderr io.Writer) error
}

func (e scriptEngine) RunInContainer(_ context.Context, c plan.Container, _ []byte, stdout, stderr io.Writer) error {
	if err := e.call("RunInContainer", c.Name); err != nil {
		return err
	}
	return e.script(stdout, stderr)
}

func (e scriptEngine) Exec(_ context.Context, c plan.Container, _ []string, _ []byte, _, _ io.Writer) error {
	return e.call("Exec", c.Name)
}

func (scriptEngine) DaemonEnd(context.Context, plan.Service) string { return "" }

const configFile = "/gitlab-docker/config/config.json"

// While a script runs, the config gets each new token, and keeps what the job
// wrote.
func TestConfigIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registries := newRegistries()
		registries.renew = 6 * time.Hour
		s, log := newStage(t, registries, "ECR_DIND=true", "WHERE="+ecrHost)
		fake := newFakeEngine()
		if err := s.Prepare(t.Context(), fake); err != nil {
			t.Fatal(err)
		}
		password := func() (auth string) {
			fake.locked(func() {
				var file struct {
					Auths map[string]struct{ Auth string }
				}
				if err := json.Unmarshal(fake.files[configFile], &file); err != nil {
					t.Fatal(err)
				}
				auth = file.Auths[ecrHost].Auth
			})
			return auth
		}
		script := func(io.Writer, io.Writer) error {
			time.Sleep(time.Minute) // of the fake clock
			before := password()
			registries.set("second", nil)
			time.Sleep(5 * time.Hour)
			if password() != before {
				return errors.New("renewed before it is time")
			}
			time.Sleep(2 * time.Hour)
			after := password()
			if after == before {
				return errors.New("not renewed")
			}
			registries.set("", errors.New("AWS is down"))
			time.Sleep(7 * time.Hour)
			if password() != after {
				return errors.New("a failure changed the config")
			}
			registries.set("third", nil)
			time.Sleep(2 * retryRenewal)
			if password() == after {
				return errors.New("not tried again after a failure")
			}
			fake.locked(func() { fake.files[configFile] = []byte(`{"auths": {"` + ecrHost + `": {"auth": "bWU6bWluZQ=="}}}`) })
			registries.set("fourth", nil)
			time.Sleep(13 * time.Hour)
			if password() != "bWU6bWluZQ==" {
				return errors.New("the job's own login was overwritten")
			}
			return nil
		}
		if err := s.Run(t.Context(), scriptEngine{fake, script}, "/dev/null", "build_script"); err != nil {
			t.Errorf("%v; log:\n%s", err, log)
		}
		if !strings.Contains(log.String(), "AWS is down") {
			t.Errorf("the failure is not told:\n%s", log)
		}
	})
}

func TestRenewalNeverFailsAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := newStage(t, newRegistries(), "ECR_DIND=true", "WHERE="+ecrHost)
		fake := newFakeEngine()
		fake.files[configFile] = []byte("not JSON")
		script := func(io.Writer, io.Writer) error {
			time.Sleep(5 * retryRenewal) // of the fake clock
			return nil
		}
		if err := s.Run(t.Context(), scriptEngine{fake, script}, "/dev/null", "step_script"); err != nil {
			t.Error(err)
		}
		// Once at the start, then at the pace of failures: never in a hurry.
		if n := fake.count("ReadFile"); n < 4 || n > 14 || string(fake.files[configFile]) != "not JSON" {
			t.Errorf("%d reads, the job's file became %q; log:\n%s", n, fake.files[configFile], log)
		}
	})
}

func TestHints(t *testing.T) {
	tests := map[string]struct {
		output []string
		fails  bool
		want   string
	}{
		"no credentials":   {[]string{"Error: no basic auth credentials\n"}, true, "a registry was asked without credentials"},
		"in two writes":    {[]string{"Error: no basic au", "th credentials\n"}, true, "a registry was asked without credentials"},
		"in small pieces":  {strings.SplitAfter("denied: Your authorization token has expired. Reauthenticate", ""), true, "an ECR token has expired"},
		"forbidden":        {[]string{"denied: User: arn is not authorized to perform: ecr:PutImage on resource"}, true, "the role of this runner"},
		"the script copes": {[]string{"no basic auth credentials\n"}, false, ""},
		"another failure":  {[]string{"no such file"}, true, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, log := newStage(t, newRegistries(), "ECR_DIND=true")
			script := func(_, stderr io.Writer) error {
				for _, text := range tt.output {
					fmt.Fprint(stderr, text)
				}
				if tt.fails {
					return failure.Script(1)
				}
				return nil
			}
			err := s.Run(t.Context(), scriptEngine{newFakeEngine(), script}, "/dev/null", "build_script")
			if _, exited := failure.ScriptExitCode(err); exited != tt.fails {
				t.Errorf("error = %v", err)
			}
			if got := fmt.Sprint(s.Stderr); got != strings.Join(tt.output, "") {
				t.Errorf("passed on %q", got)
			}
			if tt.want == "" && strings.Contains(log.String(), "level=warning") || !strings.Contains(log.String(), tt.want) {
				t.Errorf("log:\n%s\nwant %q", log, tt.want)
			}
		})
	}
}

func TestCachesAreBounded(t *testing.T) {
	s, _ := newStage(t, nil)
	s.Settings.DindCache, s.Settings.DindCacheSize = "project", 100
	now := time.Now()
	for i, name := range []string{"recent", "older", "busy"} {
		if err := s.cacheUses().note(name, now.Add(-time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	engine := newFakeEngine()
	engine.caches = []plan.Cache{{Name: "recent", Size: 60}, {Name: "busy", Size: 30, InUse: true}, {Name: "unknown", Size: 20}, {Name: "older", Size: 50}}
	if err := s.Cleanup(t.Context(), engine); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(engine.calls, ","); !strings.HasSuffix(got, "Caches ,RemoveCache unknown,RemoveCache older") {
		t.Errorf("calls: %s", got)
	}
	if err := s.Cleanup(t.Context(), engine); err != nil || engine.count("Caches") != 1 {
		t.Errorf("the sizes were looked at again at once (%v)", err)
	}
	if err := s.trimCaches(t.Context(), engine, now.Add(trimEvery+time.Minute)); err != nil || engine.count("Caches") != 2 {
		t.Errorf("the sizes were not looked at later (%v)", err)
	}
}

// A defect in the renewal costs the renewal, not the script.
func TestRenewalThatPanics(t *testing.T) {
	s, log := newStage(t, newRegistries(), "ECR_DIND=true", "WHERE="+ecrHost)
	fake := newFakeEngine()
	registries := s.Registries
	calls := 0
	s.Registries = func(job gitlab.Job) Registries {
		if calls++; calls > 1 { // the first is for the plan
			panic("no such map")
		}
		return registries(job)
	}
	script := func(io.Writer, io.Writer) error { return nil }
	if err := s.Run(t.Context(), scriptEngine{fake, script}, "/dev/null", "build_script"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "not renewed: a defect of this program: no such map") {
		t.Errorf("log:\n%s", log)
	}
}
