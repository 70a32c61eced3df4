package dockerops

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// encodeAuth returns the X-Registry-Auth header of a pull. The credential goes
// to the registry of this image and to no other.
func encodeAuth(host string, cred registryauth.Credential) (string, error) {
	header, err := registry.EncodeAuthConfig(registry.AuthConfig{
		Username:      cred.Username,
		Password:      cred.Password.Reveal(),
		IdentityToken: cred.IdentityToken.Reveal(),
		RegistryToken: cred.RegistryToken.Reveal(),
		ServerAddress: host,
	})
	if err != nil {
		return "", fmt.Errorf("encoding the credential for %s", host)
	}
	return header, nil
}

// transient marks a fault that may be gone the next time.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

func isTransient(err error) bool {
	var t transient
	return errors.As(err, &t)
}

// judgePull tells the author's mistakes from passing faults. The engine passes
// on what registries say as text, so text is all there is to go by; what is not
// recognised counts as passing.
func (e *Engine) judgePull(err error, named reference.Named, want plan.Image, source string) error {
	text := strings.ToLower(err.Error())
	says := func(phrases ...string) bool {
		for _, phrase := range phrases {
			if strings.Contains(text, phrase) {
				return true
			}
		}
		return false
	}
	host, path := reference.Domain(named), reference.Path(named)
	switch {
	case client.IsErrConnectionFailed(err), noSpace(err):
		return e.judge(err)
	case says("authorization token has expired"):
		return transient{failure.System(err, "the engine's clock or the runner's may be wrong: check both")}
	case says("no matching manifest", "does not match the specified platform", "does not provide the specified platform"):
		return failure.Build(err, "push the image for this platform, or choose one that has it")
	case says("toomanyrequests", "rate exceeded"):
		return transient{failure.System(err, "the registry limits how often it may be asked; a pull-through cache helps")}
	case says("manifest unknown", "name unknown", "name_unknown", "manifest_unknown", "not found: does not exist"),
		says("manifest for") && says("not found"):
		return failure.Build(err, missingRemedy(host, path, want))
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err),
		says("denied", "unauthorized", "no basic auth credentials", "403 forbidden", "authentication required"):
		return failure.Build(err, deniedRemedy(host, path, want, source))
	case errdefs.IsInvalidArgument(err):
		return failure.Build(err, "mend the image's name or platform")
	case errdefs.IsNotFound(err):
		return failure.Build(err, missingRemedy(host, path, want))
	default:
		return transient{failure.System(err, fmt.Sprintf("check that the engine's host reaches %s", host))}
	}
}

func missingRemedy(host, path string, want plan.Image) string {
	if want.Upstream != "" {
		return fmt.Sprintf("check that the upstream has %s, and that ECR has a pull-through rule for the prefix of %s", want.Upstream, path)
	}
	return fmt.Sprintf("check that %s has the repository %s and this tag", host, path)
}

func deniedRemedy(host, path string, want plan.Image, source string) string {
	if want.Upstream != "" {
		return fmt.Sprintf("%s comes through ECR's pull-through cache: the first pull of a repository also needs ecr:CreateRepository and "+
			"ecr:BatchImportUpstreamImage on %s, and a rule for its prefix (aws ecr describe-pull-through-cache-rules)", want.Upstream, path)
	}
	if source == "" {
		return fmt.Sprintf("the pull was anonymous: this runner has no credentials for %s; check the repository's name as well", host)
	}
	return fmt.Sprintf("the credentials from %s may not pull %s: for ECR allow ecr:BatchGetImage and "+
		"ecr:GetDownloadUrlForLayer on the repository, in the role of the runner and in the repository's policy", source, path)
}

func noSpace(err error) bool {
	return strings.Contains(err.Error(), "no space left on device")
}
