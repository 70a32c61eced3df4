package stages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// CacheKeeper is what bounding the caches of DinD sidecars needs of the engine.
type CacheKeeper interface {
	// Caches returns all caches of the engine with their sizes.
	Caches(ctx context.Context) ([]plan.Cache, error)
	// RemoveCache removes one that no container has.
	RemoveCache(ctx context.Context, name string) error
}

// uses remembers in a folder when the caches were last used, and when their size
// was last looked at: the engine knows neither. What is not remembered counts
// as never used.
type uses struct{ dir string }

func (s Stage) cacheUses() uses { return uses{filepath.Join(s.Settings.StateDir, "dind-caches")} }

// looked is the name of no cache.
const looked = ".looked"

func (u uses) note(name string, now time.Time) error {
	if !filepath.IsAbs(u.dir) {
		return errors.New("no state folder")
	}
	if err := os.MkdirAll(u.dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(u.dir, name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return os.Chtimes(file, now, now)
}

func (u uses) last(name string) time.Time {
	info, err := os.Stat(filepath.Join(u.dir, name))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// trimEvery bounds how often the sizes are looked at: the engine counts files
// for it.
const trimEvery = 15 * time.Minute

// trimCaches removes caches, the one that was not used for the longest time
// first, until all together are below the operator's bound.
func (s Stage) trimCaches(ctx context.Context, engine CacheKeeper, now time.Time) error {
	used := s.cacheUses()
	if now.Sub(used.last(looked)) < trimEvery {
		return nil
	}
	if err := used.note(looked, now); err != nil {
		return fmt.Errorf("bounding the caches of DinD sidecars: %w", err)
	}
	caches, err := engine.Caches(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(caches, func(a, b plan.Cache) int { return used.last(a.Name).Compare(used.last(b.Name)) })
	var total int64
	for _, cache := range caches {
		total += cache.Size
	}
	var failures []error
	for _, cache := range caches {
		if total <= int64(s.Settings.DindCacheSize) {
			break
		}
		if cache.InUse {
			continue
		}
		if err := engine.RemoveCache(ctx, cache.Name); err != nil {
			failures = append(failures, err)
			continue
		}
		total -= cache.Size
		s.Log.Infof("Removed cache %s, last used %s: all together are above %d bytes", cache.Name, used.last(cache.Name), s.Settings.DindCacheSize)
		if err := os.Remove(filepath.Join(used.dir, cache.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}
