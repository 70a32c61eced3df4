package stages

import (
	"context"
	"fmt"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// Remover is what cleanup needs of the engine.
type Remover interface {
	// Remove removes all that carries the key; nothing to remove is no error.
	Remove(ctx context.Context, key string) error
}

// Cleanup removes all that the job left in the engine. It needs the job's
// identity alone: it also runs after a failed config.
func (s Stage) Cleanup(ctx context.Context, engine Remover) error {
	id, err := s.Environ.Identity()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := engine.Remove(ctx, plan.Key(id)); err != nil {
		return fmt.Errorf("cleaning up after job %d: %w", id.ID, err)
	}
	s.Log.Infof("Removed containers, network and volumes of job %d in %s", id.ID, seconds(time.Since(start)))
	return nil
}
