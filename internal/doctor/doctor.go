// Package doctor checks a runner's host for everything that a job will need, one
// line each, with what to do where something is wrong. It knows no SDK: what it
// needs of engine and registries it names in interfaces of its own.
package doctor

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Engine is what the checks need of the engine.
type Engine interface {
	Describe(ctx context.Context) (plan.EngineInfo, error)
	// EnsureImage has the image on the engine afterwards.
	EnsureImage(ctx context.Context, image plan.Image, keychain registryauth.Keychain) (plan.LocalImage, error)
	HasImage(ctx context.Context, name string) (bool, error)
	// RemoveImage takes a name off an image; what has no name any more goes.
	RemoveImage(ctx context.Context, name string) error
	// Try runs a container to its end and removes it, whatever happens.
	Try(ctx context.Context, c plan.Container, image plan.LocalImage) (output string, code int, err error)
}

// Registries is the runner's own access to ECR.
type Registries interface {
	registryauth.Keychain
	// Identity returns the ARN of the runner and where its credentials are
	// from. hosts are registries that it uses. An error that has a method
	// Unreachable() bool, which is true, says nothing of the identity.
	Identity(ctx context.Context, hosts []string) (arn, source string, err error)
}

// Host is a runner's host.
type Host struct {
	Engine     Engine
	Registries Registries
	// Logins is the Docker config of the host's user.
	Logins registryauth.Keychain
}

// Options are what the operator asks for.
type Options struct {
	// EnvFile was read into the environment; "" when none was.
	EnvFile string
	// Config is GitLab Runner's config.toml; it must be there when ConfigGiven.
	Config      string
	ConfigGiven bool
	// Registries are checked beside those of the settings.
	Registries []string
	// Pulls are images to try to pull.
	Pulls []string
}

// doctor is one run of the checks.
type doctor struct {
	Host
	opts Options
	// connectErr says why there is no Engine.
	connectErr error

	settings    settings.Settings
	settingsErr error
	machine     machine

	// key names the containers of this run and labels them.
	key string
	// What one check finds out for others that need it.
	engine      plan.EngineInfo
	describeErr error
	helper      plan.Image
	localHelper plan.LocalImage
}

// Names of checks that others need.
const (
	settingsCheck = "settings"
	dockerCheck   = "docker"
	accessCheck   = "docker access"
	helperCheck   = "helper image"
)

// short bounds what answers at once on a host that is well, long what may have
// to pull an image.
const (
	short = 30 * time.Second
	long  = 20 * time.Minute
)

// checks returns all checks in the order in which they are told.
func (d *doctor) checks() []check {
	checks := []check{
		{name: settingsCheck, timeout: short, do: d.checkSettings},
		{name: dockerCheck, timeout: short, do: d.checkDocker},
		{name: accessCheck, timeout: short, needs: []string{dockerCheck}, hears: true, do: d.checkAccess},
	}
	for _, kind := range []settings.DindSecurity{settings.DindConfined, settings.DindRootless, settings.DindPrivileged} {
		checks = append(checks, check{
			name: "sidecar " + string(kind), timeout: short, needs: []string{settingsCheck, dockerCheck, helperCheck},
			do: func(ctx context.Context) finding { return d.checkSidecar(ctx, kind) },
		})
	}
	checks = append(
		checks,
		check{name: helperCheck, timeout: long, needs: []string{settingsCheck, dockerCheck}, do: d.checkHelper},
		check{name: "helper tools", timeout: short, needs: []string{settingsCheck, dockerCheck, helperCheck}, do: d.checkTools},
		check{name: "state folder", timeout: short, needs: []string{settingsCheck}, do: d.checkState},
		check{name: "engine disk", timeout: short, needs: []string{dockerCheck}, do: d.checkDisk},
		check{name: "aws identity", timeout: short, do: d.checkIdentity},
	)
	for _, host := range d.registries() {
		checks = append(checks, check{
			name: "registry " + host, timeout: short, needs: []string{settingsCheck},
			do: func(ctx context.Context) finding { return d.checkRegistry(ctx, host) },
		})
	}
	for _, image := range d.opts.Pulls {
		checks = append(checks, check{
			name: "pull " + image, timeout: long, needs: []string{settingsCheck, dockerCheck},
			do: func(ctx context.Context) finding { return d.checkPull(ctx, image) },
		})
	}
	return append(checks, d.runnerChecks()...)
}

// newKey returns a name that no other run has.
func newKey() string {
	const unique = 8
	return "gitlab-ecr-executor-doctor-" + strings.ToLower(rand.Text()[:unique])
}

// exists reports whether a file can be seen.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
