package stages

import (
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestSteps(t *testing.T) {
	g, ctx := errgroup.WithContext(t.Context())
	one := start(g, func() (int, error) { return 1, nil })
	two := start(g, func() (int, error) {
		n, err := one.wait(ctx)
		return n + 1, err
	})
	if n, err := two.wait(ctx); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	broken := do(g, func() error { panic("no such map") })
	if err := waitAll(ctx, broken); err == nil {
		t.Error("waited for a step that failed")
	}
	if err := g.Wait(); err == nil || !strings.Contains(err.Error(), "a defect of this program: no such map") {
		t.Errorf("error = %v", err)
	}
}
