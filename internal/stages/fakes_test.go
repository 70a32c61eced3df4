package stages

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// fakeEngine is an engine that has what was created in it. fail holds errors by
// the name of the method.
type fakeEngine struct {
	mu      sync.Mutex
	calls   []string
	network bool
	created map[string]bool
	started map[string]bool
	files   map[string][]byte
	fail    map[string][]error // taken one by one; nil is a success
	cached  bool
	caches  []plan.Cache
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{created: map[string]bool{}, started: map[string]bool{}, files: map[string][]byte{}, fail: map[string][]error{}}
}

// call notes a call and returns the error that it is to fail with.
func (e *fakeEngine) call(method, what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, method+" "+what)
	if failures := e.fail[method]; len(failures) > 0 {
		e.fail[method] = failures[1:]
		return failures[0]
	}
	return nil
}

func (e *fakeEngine) count(method string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, call := range e.calls {
		if name, _, _ := bytes.Cut([]byte(call), []byte(" ")); string(name) == method {
			n++
		}
	}
	return n
}

func (e *fakeEngine) locked(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *fakeEngine) CreateNetwork(_ context.Context, n plan.Network) error {
	err := e.call("CreateNetwork", n.Name)
	e.locked(func() { e.network = err == nil })
	return err
}

func (e *fakeEngine) EnsureImage(ctx context.Context, image plan.Image, keychain registryauth.Keychain) (plan.LocalImage, error) {
	named, err := reference.ParseNormalizedNamed(image.Name)
	if err != nil {
		return plan.LocalImage{}, err
	}
	cred, _, err := keychain.Resolve(ctx, named)
	if err != nil {
		return plan.LocalImage{}, err
	}
	return plan.LocalImage{Ref: image.Name}, e.call("EnsureImage", image.Name+" "+cred.Source)
}

func (e *fakeEngine) CreateContainer(_ context.Context, c plan.Container, image plan.LocalImage) (err error) {
	e.locked(func() {
		switch {
		case image.Ref == "":
			err = fmt.Errorf("%s has no image", c.Name)
		case c.Network != "" && !e.network:
			err = fmt.Errorf("%s has no network", c.Name)
		case c.NetworkOf != "" && !e.created[c.NetworkOf]:
			err = fmt.Errorf("%s: no container %s", c.Name, c.NetworkOf)
		}
		e.created[c.Name] = true
	})
	if failed := e.call("CreateContainer", c.Name); failed != nil {
		return failed
	}
	return err
}

func (e *fakeEngine) StartContainer(_ context.Context, c plan.Container) (err error) {
	e.locked(func() {
		if !e.created[c.Name] {
			err = fmt.Errorf("%s was not created", c.Name)
		}
		e.started[c.Name] = true
	})
	if failed := e.call("StartContainer", c.Name); failed != nil {
		return failed
	}
	return err
}

func (e *fakeEngine) PutFiles(_ context.Context, c plan.Container, files map[string][]byte) error {
	e.locked(func() { maps.Copy(e.files, files) })
	return e.call("PutFiles", c.Name)
}

func (e *fakeEngine) ReplaceFiles(_ context.Context, c plan.Container, files map[string][]byte) error {
	e.locked(func() { maps.Copy(e.files, files) })
	return e.call("ReplaceFiles", c.Name)
}

func (e *fakeEngine) ReadFile(_ context.Context, _ plan.Container, name string) (content []byte, err error) {
	e.locked(func() { content = slices.Clone(e.files[name]) })
	return content, e.call("ReadFile", name)
}

func (e *fakeEngine) WaitForService(_ context.Context, s plan.Service, _ plan.LocalImage, helper plan.Container, _ time.Duration) error {
	started := false
	e.locked(func() { started = e.started[helper.Name] && e.started[s.Name] })
	if !started {
		return fmt.Errorf("waiting for %s before it and the helper were started", s.Name)
	}
	return e.call("WaitForService", s.Name)
}

func (e *fakeEngine) CreateDaemon(ctx context.Context, s plan.Service, image plan.LocalImage) (plan.Container, bool, error) {
	return s.Container, e.cached, e.CreateContainer(ctx, s.Container, image)
}

func (e *fakeEngine) WaitForDaemon(_ context.Context, c plan.Container, _ *plan.Daemon, _ time.Duration) (string, error) {
	return "27.0", e.call("WaitForDaemon", c.Name)
}

func (e *fakeEngine) DiscardCache(_ context.Context, s plan.Service) error {
	return e.call("DiscardCache", s.Daemon.Cache)
}

func (e *fakeEngine) Caches(context.Context) ([]plan.Cache, error) {
	return e.caches, e.call("Caches", "")
}

func (e *fakeEngine) RemoveCache(_ context.Context, name string) error {
	return e.call("RemoveCache", name)
}
func (e *fakeEngine) Reap(context.Context) error { return e.call("Reap", "") }
func (e *fakeEngine) Remove(_ context.Context, key string) error {
	return e.call("Remove", key)
}

// fakeRegistries knows one registry.
type fakeRegistries struct {
	mu    sync.Mutex
	host  string
	token string
	renew time.Duration // after each call; 0: never
	err   error
}

func (r *fakeRegistries) Knows(host string) bool { return host == r.host }

func (r *fakeRegistries) Resolve(_ context.Context, repository reference.Named) (registryauth.Credential, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reference.Domain(repository) != r.host {
		return registryauth.Credential{}, false, nil
	}
	cred := registryauth.Credential{Username: "AWS", Password: registryauth.Secret(r.token), Source: "fake ECR"}
	if r.renew > 0 {
		cred.RenewAt = time.Now().Add(r.renew)
	}
	return cred, r.err == nil, r.err
}

func (r *fakeRegistries) ResolveRegistry(ctx context.Context, host string) (registryauth.Credential, bool, error) {
	return resolve(ctx, r, host)
}

func (r *fakeRegistries) set(token string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token, r.err = token, err
}

const ecrHost = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"

// newStage returns a stage of a job with these variables, and its log.
func newStage(t *testing.T, registries *fakeRegistries, variables ...string) (Stage, *bytes.Buffer) {
	t.Helper()
	entries := []string{
		"CUSTOM_ENV_CI_JOB_ID=42", "CUSTOM_ENV_CI_PROJECT_ID=7", "CUSTOM_ENV_CI_JOB_IMAGE=" + ecrHost + "/app:v1",
		"CUSTOM_ENV_CI_PROJECT_DIR=/builds/app", "CUSTOM_ENV_CI_RUNNER_VERSION=19.3.0",
	}
	for _, variable := range variables {
		entries = append(entries, "CUSTOM_ENV_"+variable)
	}
	var text bytes.Buffer
	log := logrus.New()
	log.SetOutput(&text)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableQuote: true})
	s := Stage{
		Environ: gitlab.NewEnviron(entries), Log: log, Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{},
		Settings: settings.Settings{
			DindImages: settings.List{"docker:*dind*"}, DindImage: "docker:dind", DindSecurity: settings.DindConfined,
			WaitForServicesTimeout: 30, StateDir: filepath.Join(t.TempDir(), "state"), Dns: settings.List{"192.0.2.53"},
		},
	}
	if registries != nil {
		s.Registries = func(gitlab.Job) Registries { return registries }
	}
	return s, &text
}
