package dockerops

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// Caches returns the caches of DinD sidecars. The engine counts the bytes of all
// its volumes for it, which takes a while.
func (e *Engine) Caches(ctx context.Context) ([]plan.Cache, error) {
	usage, err := e.api.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.VolumeObject}})
	if err != nil {
		return nil, e.judge(fmt.Errorf("asking for the sizes of volumes: %w", err))
	}
	var caches []plan.Cache
	for _, v := range usage.Volumes {
		if v.Labels[plan.LabelDindCache] == "" || v.UsageData == nil {
			continue
		}
		caches = append(caches, plan.Cache{Name: v.Name, Size: max(v.UsageData.Size, 0), InUse: v.UsageData.RefCount > 0})
	}
	return caches, nil
}

// RemoveCache removes the cache of a sidecar. One that a container has stays,
// which is an error.
func (e *Engine) RemoveCache(ctx context.Context, name string) error {
	return e.removeVolume(ctx, name)
}
