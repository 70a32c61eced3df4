package dockerops

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/owner"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// object is something of a job in the engine.
type object struct {
	id      string
	labels  map[string]string
	created time.Time
	remove  func(ctx context.Context, id string) error
}

// Remove removes everything that carries the key of a job: containers with
// their anonymous volumes, then networks and volumes. What is gone already is
// no error; one failure does not keep the rest. It also does what Reap does.
func (e *Engine) Remove(ctx context.Context, key string) error {
	return e.remove(ctx, func(o object) bool { return o.labels[plan.LabelJob] == key || abandoned(o, time.Now()) })
}

// Reap removes what jobs left that nobody will clean up after: a script of them
// that still runs could write into another job's sources.
func (e *Engine) Reap(ctx context.Context) error {
	return e.remove(ctx, func(o object) bool { return abandoned(o, time.Now()) })
}

func (e *Engine) remove(ctx context.Context, ours func(object) bool) error {
	containers, err := e.containers(ctx)
	if err != nil {
		return e.judge(err)
	}
	// The containers must be gone before what they use can go.
	failed := removeAll(ctx, containers, ours)

	var networks, volumes []object
	var networksErr, volumesErr error
	var lists sync.WaitGroup
	lists.Go(func() { networks, networksErr = e.networks(ctx) })
	lists.Go(func() { volumes, volumesErr = e.volumes(ctx) })
	lists.Wait()
	return errors.Join(failed, networksErr, volumesErr, removeAll(ctx, append(networks, volumes...), ours))
}

// slack is added to a job's timeout before its leftovers may be removed: the
// timeout covers neither the job's preparation nor its cleanup.
const slack = 2 * time.Hour

// abandoned reports whether nobody will remove the object: its job is long over,
// or the process that ran it is gone.
func abandoned(o object, now time.Time) bool {
	return expired(o, now) || owner.Gone(o.labels[plan.LabelOwner])
}

func expired(o object, now time.Time) bool {
	timeout, err := strconv.Atoi(o.labels[plan.LabelTimeout])
	if err != nil || o.created.IsZero() {
		return false
	}
	return now.After(o.created.Add(time.Duration(timeout)*time.Second + slack))
}

// removeAll removes the objects that match, all at once.
func removeAll(ctx context.Context, objects []object, match func(object) bool) error {
	failures := make([]error, len(objects))
	var all sync.WaitGroup
	for i, o := range objects {
		if match(o) {
			all.Go(func() { failures[i] = o.remove(ctx, o.id) })
		}
	}
	all.Wait()
	return errors.Join(failures...)
}

func ofJobs() filters.Args { return filters.NewArgs(filters.Arg("label", plan.LabelJob)) }

func (e *Engine) containers(ctx context.Context) ([]object, error) {
	list, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: ofJobs()})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	objects := make([]object, 0, len(list))
	for _, c := range list {
		objects = append(objects, object{c.ID, c.Labels, time.Unix(c.Created, 0), e.removeContainer})
	}
	return objects, nil
}

func (e *Engine) networks(ctx context.Context) ([]object, error) {
	list, err := e.api.NetworkList(ctx, network.ListOptions{Filters: ofJobs()})
	if err != nil {
		return nil, fmt.Errorf("listing networks: %w", err)
	}
	objects := make([]object, 0, len(list))
	for _, n := range list {
		objects = append(objects, object{n.ID, n.Labels, n.Created, e.removeNetwork})
	}
	return objects, nil
}

func (e *Engine) volumes(ctx context.Context) ([]object, error) {
	list, err := e.api.VolumeList(ctx, volume.ListOptions{Filters: ofJobs()})
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	objects := make([]object, 0, len(list.Volumes))
	for _, v := range list.Volumes {
		// An age that cannot be read is no reason to remove a volume.
		created, _ := time.Parse(time.RFC3339, v.CreatedAt)
		objects = append(objects, object{v.Name, v.Labels, created, e.removeVolume})
	}
	return objects, nil
}

func (e *Engine) removeContainer(ctx context.Context, id string) error {
	err := e.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsConflict(err) { // somebody else is removing it
		removed, waitFailed := e.api.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-removed:
			err = nil
		case err = <-waitFailed:
		}
	}
	return unlessGone("container", id, err)
}

func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	err := e.api.NetworkRemove(ctx, id)
	if errdefs.IsPermissionDenied(err) { // "has active endpoints"
		err = errors.Join(e.disconnectAll(ctx, id), e.api.NetworkRemove(ctx, id))
	}
	return unlessGone("network", id, err)
}

// disconnectAll takes containers that are not the job's off its network: one
// that somebody connected by hand must not keep it.
func (e *Engine) disconnectAll(ctx context.Context, id string) error {
	info, err := e.api.NetworkInspect(ctx, id, network.InspectOptions{})
	if err != nil {
		return unlessGone("network", id, err)
	}
	var failures []error
	for containerID := range info.Containers {
		failures = append(failures, unlessGone("endpoint", containerID, e.api.NetworkDisconnect(ctx, id, containerID, true)))
	}
	return errors.Join(failures...)
}

func (e *Engine) removeVolume(ctx context.Context, name string) error {
	return unlessGone("volume", name, e.api.VolumeRemove(ctx, name, true))
}

func unlessGone(kind, id string, err error) error {
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("removing %s %s: %w", kind, id, err)
}
