package stages

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Remover removes what a job has in the engine.
type Remover interface {
	// Remove removes all that carries the key; nothing to remove is no error.
	Remove(ctx context.Context, key string) error
}

// Cleaner is what cleanup needs of the engine.
type Cleaner interface {
	Remover
	CacheKeeper
}

// ErrRunnerGone is the cause of a context whose stage nobody waits for any more:
// gitlab-runner was killed. It will not call cleanup either.
var ErrRunnerGone = errors.New("gitlab-runner has ended without a word")

// cleanUpIfAbandoned does cleanup's part for a runner that is gone.
//
// err is what the stage came to: a script that prints meets the runner's closed
// pipe before anybody looks.
func (s Stage) cleanUpIfAbandoned(ctx context.Context, engine Remover, key string, err error) {
	if !errors.Is(context.Cause(ctx), ErrRunnerGone) && !errors.Is(err, syscall.EPIPE) {
		return
	}
	if err := engine.Remove(context.WithoutCancel(ctx), key); err != nil {
		s.Log.Warnf("Cleaning up after the job: %v", err)
	}
}

// Cleanup removes all that the job left in the engine. It needs the job's
// identity alone: it also runs after a failed config.
func (s Stage) Cleanup(ctx context.Context, engine Cleaner) error {
	id, err := s.Environ.Identity()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := engine.Remove(ctx, plan.Key(id)); err != nil {
		return fmt.Errorf("cleaning up after job %d: %w", id.ID, err)
	}
	if s.Settings.DindCache == settings.DindCacheProject {
		if err := s.trimCaches(ctx, engine, time.Now()); err != nil {
			s.Log.Warn(err)
		}
	}
	s.Log.Infof("Removed containers, network and volumes of job %d in %s", id.ID, seconds(time.Since(start)))
	return nil
}
