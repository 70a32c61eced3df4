package stages

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// step is work in an errgroup that other work waits for.
type step[T any] struct {
	done  chan struct{}
	value T
}

// start does f in g. When f fails, g's context ends and with it all waiting.
func start[T any](g *errgroup.Group, f func() (T, error)) *step[T] {
	s := &step[T]{done: make(chan struct{})}
	g.Go(func() error {
		value, err := caught(f)
		if err != nil {
			return err
		}
		s.value = value
		close(s.done)
		return nil
	})
	return s
}

// caught turns a panic of f into an error: one in a goroutine would end the
// process with an exit code that GitLab Runner does not know.
func caught[T any](f func() (T, error)) (value T, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("a defect of this program: %v\n%s", panicked, debug.Stack())
		}
	}()
	return f()
}

// wait returns the value of the step. ctx is that of the group.
func (s *step[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-s.done:
		return s.value, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// waitAll waits for steps whose values do not matter.
func waitAll(ctx context.Context, steps ...*step[none]) error {
	for _, s := range steps {
		if _, err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// none is the value of a step that is done for its effect.
type none struct{}

// do starts a step without a value.
func do(g *errgroup.Group, f func() error) *step[none] {
	return start(g, func() (none, error) { return none{}, f() })
}
