package stages

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// Engine is what prepare needs of the engine. Requests that create something
// come to their end also when ctx does.
type Engine interface {
	FileEngine
	Remover
	ServiceEngine
	// Reap removes what jobs left that nobody will clean up after.
	Reap(ctx context.Context) error
	CreateNetwork(ctx context.Context, n plan.Network) error
	// EnsureImage has the image on the engine afterwards.
	EnsureImage(ctx context.Context, image plan.Image, keychain registryauth.Keychain) (plan.LocalImage, error)
	CreateContainer(ctx context.Context, c plan.Container, image plan.LocalImage) error
	StartContainer(ctx context.Context, c plan.Container) error
}

// Prepare gets everything ready for the first script: images, network, the
// running helper container, the services, the Docker config and the job's
// container, not yet started. Each of them begins as soon as what it needs is
// there.
func (s Stage) Prepare(ctx context.Context, engine Engine) (err error) {
	job, p, err := s.plan()
	if err != nil {
		return err
	}
	began := time.Now()
	s.Log.Infof("Using image %s ...", p.Build.Image.Familiar())
	access := s.access(job, s.Log.Warnf)

	stageCtx := ctx
	defer func() { s.cleanUpIfAbandoned(stageCtx, engine, p.Key, err) }()
	all, ctx := errgroup.WithContext(ctx)
	reaped := do(all, func() error {
		if err := engine.Reap(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warnf("Removing what earlier jobs left: %v", err)
		}
		return nil
	})
	images := map[string]*step[plan.LocalImage]{}
	ensure := func(image plan.Image) *step[plan.LocalImage] {
		// What two containers run is pulled once.
		key := fmt.Sprint(image.Name, image.Platform, image.Policies, image.Verify)
		if images[key] == nil {
			images[key] = start(all, func() (plan.LocalImage, error) { return engine.EnsureImage(ctx, image, access.all) })
		}
		return images[key]
	}
	network := do(all, func() error { return engine.CreateNetwork(ctx, p.Network) })
	helperImage, buildImage := ensure(p.Helper.Image), ensure(p.Build.Image)
	helperCreated := do(all, func() error {
		image, err := helperImage.wait(ctx)
		if err != nil {
			return err
		}
		if err := waitAll(ctx, network); err != nil {
			return err
		}
		return engine.CreateContainer(ctx, p.Helper, image)
	})
	helperStarted := do(all, func() error {
		if err := waitAll(ctx, helperCreated); err != nil {
			return err
		}
		return engine.StartContainer(ctx, p.Helper)
	})
	do(all, func() error {
		image, err := buildImage.wait(ctx)
		if err != nil {
			return err
		}
		// It joins the network namespace of the helper.
		if err := waitAll(ctx, helperCreated); err != nil {
			return err
		}
		return engine.CreateContainer(ctx, p.Build, image)
	})
	if p.Client != nil {
		credentials := start(all, func() (credentials, error) { return s.credentials(ctx, access, *p.Client, s.Log.Warnf), ctx.Err() })
		do(all, func() error {
			found, err := credentials.wait(ctx)
			if err != nil {
				return err
			}
			if err := waitAll(ctx, helperStarted); err != nil {
				return err
			}
			return s.writeConfig(ctx, engine, p, found)
		})
	}
	for _, service := range p.Services {
		image := ensure(service.Image)
		do(all, func() error {
			local, err := image.wait(ctx)
			if err != nil {
				return err
			}
			if err := waitAll(ctx, network); err != nil {
				return err
			}
			if service.Daemon != nil {
				// A daemon that nobody waits for any more may hold the cache.
				if service.Daemon.Cache != "" {
					if err := waitAll(ctx, reaped); err != nil {
						return err
					}
				}
				return s.startDaemon(ctx, engine, service, local, p.WaitForServices)
			}
			return s.startService(ctx, engine, service, local, p, helperStarted)
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	s.Log.Infof("Prepared in %s", seconds(time.Since(began)))
	return nil
}
