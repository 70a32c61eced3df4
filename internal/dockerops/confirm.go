package dockerops

import (
	"context"
	"errors"
	"fmt"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// PrivateRepositories remembers what was pulled with credentials of a job.
type PrivateRepositories interface {
	Note(repository string) error
	Has(repository string) (bool, error)
}

// errNotConfirmed says that a local image is somebody else's.
var errNotConfirmed = errors.New("it is on this engine for another job, and the registry does not confirm that this one may read it")

// confirm makes sure that a job may use an image which is on the engine already.
// Images that the runner's own credentials open are for all its jobs; one that
// came, or would come, with credentials of a job is for whom the registry lets
// read its manifest.
func (e *Engine) confirm(ctx context.Context, want plan.Image, keychain registryauth.Keychain) error {
	if !want.Verify {
		return nil
	}
	named, err := reference.ParseNormalizedNamed(want.Name)
	if err != nil {
		return failure.Build(err, "")
	}
	cred, found, err := keychain.Resolve(ctx, named)
	if err != nil {
		return err
	}
	if !found || !cred.OfJob {
		private, err := e.Private.Has(named.Name())
		if err != nil || !private {
			return err
		}
	}
	header := ""
	if found {
		if header, err = encodeAuth(reference.Domain(named), cred); err != nil {
			return err
		}
	}
	return e.retry(ctx, "Asking the registry for "+want.Familiar(), func() error {
		_, err := e.api.DistributionInspect(ctx, want.Name, header)
		if err == nil {
			return nil
		}
		judged := e.judgePull(err, named, want, cred.Source)
		if failure.IsBuild(judged) {
			return failure.Build(fmt.Errorf("%w: %w", errNotConfirmed, err), failure.Remedy(judged))
		}
		return judged
	})
}
