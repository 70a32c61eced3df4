package stages

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// Prepare gets everything ready for the first script: images, network, the
// running helper container and the job's container, not yet started. What does
// not depend on each other happens at once.
func (s Stage) Prepare(ctx context.Context, engine Engine) error {
	p, err := s.plan()
	if err != nil {
		return err
	}
	start := time.Now()
	s.Log.Infof("Using image %s ...", p.Build.Image.Name)

	var helperImage, buildImage string
	ready, readyCtx := errgroup.WithContext(ctx)
	ready.Go(func() error { return engine.CreateNetwork(readyCtx, p.Network) })
	ready.Go(func() (err error) {
		helperImage, err = engine.EnsureImage(readyCtx, p.Helper.Image)
		return err
	})
	ready.Go(func() (err error) {
		buildImage, err = engine.EnsureImage(readyCtx, p.Build.Image)
		return err
	})
	if err := ready.Wait(); err != nil {
		return err
	}

	// The job's container names the helper's network namespace.
	if err := engine.CreateContainer(ctx, p.Helper, helperImage); err != nil {
		return err
	}
	containers, containersCtx := errgroup.WithContext(ctx)
	containers.Go(func() error { return engine.StartContainer(containersCtx, p.Helper) })
	containers.Go(func() error { return engine.CreateContainer(containersCtx, p.Build, buildImage) })
	if err := containers.Wait(); err != nil {
		return err
	}
	s.Log.Infof("Prepared in %s", seconds(time.Since(start)))
	return nil
}
