package stages

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/certs"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// ServiceEngine is what services need of the engine.
type ServiceEngine interface {
	// WaitForService returns when the service is ready, or with an error that
	// says why it is not.
	WaitForService(ctx context.Context, s plan.Service, image plan.LocalImage, helper plan.Container, timeout time.Duration) error
	// CreateDaemon returns the container as it was created, and whether it has
	// the cache.
	CreateDaemon(ctx context.Context, s plan.Service, image plan.LocalImage) (c plan.Container, cached bool, err error)
	// WaitForDaemon returns the daemon's version when it answers.
	WaitForDaemon(ctx context.Context, c plan.Container, d *plan.Daemon, timeout time.Duration) (version string, err error)
	// DiscardCache removes a sidecar and the cache that it had.
	DiscardCache(ctx context.Context, s plan.Service) error
}

// startService starts an ordinary service and waits until it is ready. One that
// does not become ready is the script's to judge, as with the docker executor.
func (s Stage) startService(ctx context.Context, engine Engine, service plan.Service, image plan.LocalImage, p plan.Plan, helper *step[none]) error {
	s.Log.Infof("Starting service %s ...", service.Image.Familiar())
	began := time.Now()
	if err := engine.CreateContainer(ctx, service.Container, image); err != nil {
		return err
	}
	if err := engine.StartContainer(ctx, service.Container); err != nil {
		return err
	}
	if p.WaitForServices <= 0 {
		return nil
	}
	if err := waitAll(ctx, helper); err != nil {
		return err
	}
	switch err := engine.WaitForService(ctx, service, image, p.Helper, p.WaitForServices); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.Log.Warnf("Service %s probably didn't start properly: %v", service.Image.Familiar(), err)
	default:
		s.Log.Infof("Service %s is ready (%s), known as %s", service.Image.Familiar(), seconds(time.Since(began)), strings.Join(service.Aliases, ", "))
	}
	return nil
}

// minDaemonWait is how long a daemon may take at least: a job that asks for one
// cannot do without.
const minDaemonWait = 30 * time.Second

// startDaemon starts the job's Docker daemon and waits until it answers. A
// cache that the daemon cannot start with is thrown away.
func (s Stage) startDaemon(ctx context.Context, engine Engine, service plan.Service, image plan.LocalImage, timeout time.Duration) error {
	d := service.Daemon
	for _, note := range d.Notes {
		s.Log.Warn(note)
	}
	s.Log.Infof("Starting Docker daemon %s (%s) ...", service.Image.Familiar(), d.Security)
	began := time.Now()
	// An engine elsewhere has other resolvers than this host.
	if len(s.Settings.Dns) == 0 && !strings.HasPrefix(s.Environ["DOCKER_HOST"], "tcp://") {
		for _, server := range resolvers(resolvConfs) {
			d.Flags = append(d.Flags, "--dns="+server)
		}
	}
	files, err := certificates(d.TLS)
	if err != nil {
		return err
	}
	timeout = max(timeout, minDaemonWait)
	version, cached, err := s.bootDaemon(ctx, engine, service, image, files, timeout)
	if err != nil && cached && ctx.Err() == nil {
		s.Log.Warnf("The daemon does not start with the cache of this project: %v", err)
		s.Log.Warn("Removing the cache and starting anew ...")
		if err := engine.DiscardCache(ctx, service); err != nil {
			return err
		}
		version, cached, err = s.bootDaemon(ctx, engine, service, image, files, timeout)
	}
	if err != nil {
		return err
	}
	if cached {
		if err := s.cacheUses().note(d.Cache, time.Now()); err != nil {
			s.Log.Warnf("The cache of this project counts as unused: %v", err)
		}
	}
	with := ""
	switch {
	case cached:
		with = ", with the cache of this project"
	case d.Security == settings.DindPrivileged:
		with = ", privileged"
	}
	s.Log.Infof("Docker %s is ready (%s%s), known as %s", version, seconds(time.Since(began)), with, strings.Join(service.Aliases, ", "))
	return nil
}

func (s Stage) bootDaemon(ctx context.Context, engine Engine, service plan.Service, image plan.LocalImage,
	files map[string][]byte, timeout time.Duration,
) (version string, cached bool, err error) {
	c, cached, err := engine.CreateDaemon(ctx, service, image)
	if err != nil {
		return "", false, err
	}
	if len(files) > 0 {
		if err := engine.PutFiles(ctx, c, files); err != nil {
			return "", false, err
		}
	}
	if err := engine.StartContainer(ctx, c); err != nil {
		return "", false, err
	}
	if cached {
		// It has a store to load; and a sound cache is not to be thrown away
		// because the host is busy. One that is not up then is broken.
		timeout *= 2
	}
	version, err = engine.WaitForDaemon(ctx, c, service.Daemon, timeout)
	return version, cached, err
}

// certificates makes what a daemon with TLS and its clients need, by path.
func certificates(tls *plan.TLS) (map[string][]byte, error) {
	if tls == nil {
		return nil, nil
	}
	server, client, err := certs.New(tls.Names, time.Now())
	if err != nil {
		return nil, fmt.Errorf("certificates of the job's Docker daemon: %w", err)
	}
	files := map[string][]byte{}
	for dir, pair := range map[string]certs.Pair{"server": server, "client": client} {
		for name, content := range pair.Files() {
			files[path.Join(tls.Dir, dir, name)] = content
		}
	}
	return files, nil
}
