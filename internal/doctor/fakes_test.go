package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

const (
	helper   = "docker.io/library/helper:1"
	registry = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
	app      = registry + "/app:v1"
)

// fakeEngine has images, gets more from a registry, and runs containers as
// answer says.
type fakeEngine struct {
	info        plan.EngineInfo
	describeErr error
	answer      func(c plan.Container) (output string, code int, err error)

	mu        sync.Mutex
	images    map[string]bool
	registry  map[string]bool
	removeErr error
	tried     []plan.Container
}

func (e *fakeEngine) Describe(context.Context) (plan.EngineInfo, error) { return e.info, e.describeErr }

func (e *fakeEngine) EnsureImage(ctx context.Context, image plan.Image, keychain registryauth.Keychain) (plan.LocalImage, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	policy := image.Policies[0]
	if policy != settings.PullAlways && e.images[image.Name] {
		return plan.LocalImage{Ref: image.Name}, nil
	}
	if policy == settings.PullNever {
		return plan.LocalImage{}, failure.Build(errors.New("it is not on this runner's engine"), "pull it")
	}
	named, err := reference.ParseNormalizedNamed(image.Name)
	if err != nil {
		return plan.LocalImage{}, err
	}
	if _, _, err := keychain.Resolve(ctx, named); err != nil {
		return plan.LocalImage{}, err
	}
	if !e.registry[image.Name] {
		return plan.LocalImage{}, failure.Build(fmt.Errorf("%s image %s: manifest unknown", image.Role, image.Familiar()), "check that it exists")
	}
	e.images[image.Name] = true
	return plan.LocalImage{Ref: image.Name}, nil
}

func (e *fakeEngine) HasImage(_ context.Context, name string) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.images[name], nil
}

func (e *fakeEngine) RemoveImage(_ context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removeErr == nil {
		delete(e.images, name)
	}
	return e.removeErr
}

func (e *fakeEngine) Try(_ context.Context, c plan.Container, _ plan.LocalImage) (string, int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried = append(e.tried, c)
	return e.answer(c)
}

// wellAnswer is what containers of a good image print on a good engine.
func wellAnswer(c plan.Container) (string, int, error) {
	if strings.HasSuffix(c.Name, "helper-tools") {
		return "hello from the entrypoint\ntools: bash git git-lfs gitlab-runner-helper", 0, nil
	}
	return "", 0, nil
}

// fakeKeychain has credentials, or errors, by registry.
type fakeKeychain struct {
	source      string
	hosts       map[string]error
	identityErr error
	asked       []string
}

func (k *fakeKeychain) Resolve(_ context.Context, repository reference.Named) (registryauth.Credential, bool, error) {
	err, known := k.hosts[reference.Domain(repository)]
	return registryauth.Credential{Source: k.source, Expires: time.Unix(1e9, 0).UTC()}, known && err == nil, err
}

func (k *fakeKeychain) Identity(_ context.Context, hosts []string) (string, string, error) {
	k.asked = hosts
	return "arn:aws:sts::111122223333:assumed-role/ci/i-0abc", "EC2RoleProvider", k.identityErr
}

// silent is an error of a service that gave no answer.
type silent struct{ error }

func (silent) Unreachable() bool { return true }

// subject is a doctor at a host that is well, for tests to make ill.
type subject struct {
	*doctor
	engine *fakeEngine
	ecr    *fakeKeychain
	logins *fakeKeychain
}

func newSubject(t *testing.T) *subject {
	t.Helper()
	root := t.TempDir()
	s := &subject{
		engine: &fakeEngine{
			info: plan.EngineInfo{
				Address: "unix:///var/run/docker.sock", Hostname: "here", RootDir: root,
				Version: "28.0.0", APIVersion: "1.48", StorageDriver: "overlay2", CgroupVersion: "2",
			},
			answer: wellAnswer, images: map[string]bool{helper: true}, registry: map[string]bool{app: true, helper: true},
		},
		ecr:    &fakeKeychain{source: "Amazon ECR", hosts: map[string]error{registry: nil}},
		logins: &fakeKeychain{source: "config.json", hosts: map[string]error{}},
	}
	s.doctor = &doctor{
		Host: Host{Engine: s.engine, Registries: s.ecr, Logins: s.logins},
		key:  "gitlab-ecr-executor-doctor-test",
		settings: settings.Settings{
			HelperImage: "helper:1", PullPolicy: settings.PullPolicies{settings.PullIfNotPresent},
			DindImage: "docker:dind", DindSecurity: settings.DindConfined, StateDir: t.TempDir(),
		},
		machine: machine{
			uid: ownerOf(stat(t, root)), hostname: "here",
			free:    func(string) (uint64, error) { return 80_000_000_000, nil },
			runners: func() []int { return nil },
			runner: func(context.Context) gitlab.Job {
				return gitlab.Job{RunnerArch: "linux/amd64", RunnerVersion: "17.9.0"}
			},
			inspect: func(context.Context, string) program { return program{} },
		},
	}
	s.opts.Config = root + "/config.toml"
	mode(t, s.settings.StateDir, 0o700)
	return s
}

// all does all checks and returns their results by name.
func (s *subject) all(t *testing.T) map[string]Result {
	t.Helper()
	results := map[string]Result{}
	run(t.Context(), s.checks(), func(r Result) { results[r.Name] = r })
	return results
}
