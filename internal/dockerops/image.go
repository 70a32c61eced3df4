package dockerops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// EnsureImage makes an image present by its pull policies, in order, with
// credentials from keychain. An image that is missing, forbidden or not for the
// platform is a build failure.
func (e *Engine) EnsureImage(ctx context.Context, want plan.Image, keychain registryauth.Keychain) (plan.LocalImage, error) {
	var failures []error
	for i, policy := range want.Policies {
		if i > 0 {
			e.log.Warnf("%s image %s: %v", want.Role, want.Familiar(), failures[i-1])
			e.log.Infof("Trying pull policy %q for %s image %s ...", policy, want.Role, want.Familiar())
		}
		local, err := e.ensure(ctx, want, policy, keychain)
		if err == nil {
			return local, nil
		}
		if ctx.Err() != nil {
			return plan.LocalImage{}, err
		}
		failures = append(failures, err)
	}
	// The last policy's verdict counts; the others have been shown.
	return plan.LocalImage{}, fmt.Errorf("%s image %s: %w", want.Role, want.Familiar(), failures[len(failures)-1])
}

func (e *Engine) ensure(ctx context.Context, want plan.Image, policy settings.PullPolicy, keychain registryauth.Keychain) (plan.LocalImage, error) {
	if policy != settings.PullAlways {
		local, err := e.inspect(ctx, want)
		switch {
		case err == nil && policy == settings.PullIfNotPresent:
			if err := e.confirm(ctx, want, keychain); err != nil {
				return plan.LocalImage{}, err
			}
			fallthrough
		case err == nil:
			e.log.Infof("Using local %s image %s (%s, pull policy %s)", want.Role, want.Familiar(), shortID(local), policy)
			return localImage(want, local), nil
		case !errdefs.IsNotFound(err):
			return plan.LocalImage{}, e.judge(err)
		case policy == settings.PullNever:
			return plan.LocalImage{}, failure.Build(errors.New("it is not on this runner's engine, and the pull policy is never"),
				"pull it there first, or change `pull_policy`")
		}
	}
	if err := e.pull(ctx, want, keychain); err != nil {
		return plan.LocalImage{}, err
	}
	pulled, err := e.inspect(ctx, want)
	if err != nil {
		return plan.LocalImage{}, e.judge(fmt.Errorf("inspecting it after the pull: %w", err))
	}
	return localImage(want, pulled), nil
}

// inspect returns the local image, or a not-found error when there is none for
// the platform.
func (e *Engine) inspect(ctx context.Context, want plan.Image) (image.InspectResponse, error) {
	local, err := e.api.ImageInspect(ctx, want.Name)
	if err != nil || want.Platform == "" {
		return local, err
	}
	platform, err := platforms.Parse(want.Platform)
	if err != nil {
		return local, failure.Build(fmt.Errorf("platform %q: %w", want.Platform, err), "write it as linux/arm64")
	}
	has := platforms.Normalize(platforms.Platform{OS: local.Os, Architecture: local.Architecture, Variant: local.Variant})
	if !platforms.Only(platform).Match(has) {
		return local, fmt.Errorf("it is for %s: %w", platforms.Format(has), errdefs.ErrNotFound)
	}
	return local, nil
}

func localImage(want plan.Image, local image.InspectResponse) plan.LocalImage {
	result := plan.LocalImage{Ref: createFrom(want, local)}
	if config := local.Config; config != nil {
		result.Entrypoint, result.Command, result.User = config.Entrypoint, config.Cmd, config.User
		result.Healthcheck = config.Healthcheck != nil && len(config.Healthcheck.Test) > 0 && config.Healthcheck.Test[0] != "NONE"
		for exposed := range config.ExposedPorts {
			number, protocol, _ := strings.Cut(exposed, "/")
			if n, err := strconv.Atoi(number); err == nil && (protocol == "" || protocol == "tcp") {
				result.Ports = append(result.Ports, n)
			}
		}
		slices.Sort(result.Ports)
	}
	return result
}

// createFrom pins what was inspected, so that a tag that moves in between does
// not matter. With a platform the name must do: where one name has several
// platforms, an ID stands for all of them.
func createFrom(want plan.Image, local image.InspectResponse) string {
	if want.Platform != "" {
		return want.Name
	}
	return local.ID
}

func shortID(local image.InspectResponse) string {
	const prefix, digits = len("sha256:"), 12
	if len(local.ID) < prefix+digits {
		return local.ID
	}
	return local.ID[prefix : prefix+digits]
}

// pull fetches an image, with credentials from keychain.
func (e *Engine) pull(ctx context.Context, want plan.Image, keychain registryauth.Keychain) error {
	named, err := reference.ParseNormalizedNamed(want.Name)
	if err != nil {
		return failure.Build(err, "")
	}
	return e.retry(ctx, "Pulling "+want.Familiar(), func() error { return e.pullOnce(ctx, named, want, keychain) })
}

// retry tries what a passing fault of network or registry keeps from succeeding
// twice more.
func (e *Engine) retry(ctx context.Context, what string, try func() error) error {
	const tries = 3
	pause := e.retryAfter
	for n := 1; ; n++ {
		err := try()
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("%s was stopped: %w", strings.ToLower(what[:1])+what[1:], context.Cause(ctx))
		}
		if err == nil || n == tries || !isTransient(err) {
			return err
		}
		e.log.Warnf("%s failed, trying again in %s (%d of %d): %v", what, pause, n+1, tries, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (e *Engine) pullOnce(ctx context.Context, named reference.Named, want plan.Image, keychain registryauth.Keychain) error {
	cred, found, err := keychain.Resolve(ctx, named)
	if err != nil {
		return err
	}
	opts := image.PullOptions{Platform: want.Platform}
	source := ""
	if found {
		source = cred.Source
		e.log.Infof("Authenticating to %s with credentials from %s", reference.Domain(named), source)
		if opts.RegistryAuth, err = encodeAuth(reference.Domain(named), cred); err != nil {
			return err
		}
	}
	forPlatform := ""
	if want.Platform != "" {
		forPlatform = " for " + want.Platform
	}
	upstream := ""
	if want.Upstream != "" {
		upstream = fmt.Sprintf(" (for %s)", want.Upstream)
	}
	e.log.Infof("Pulling %s image %s%s%s ...", want.Role, want.Familiar(), forPlatform, upstream)

	if found && cred.OfJob {
		// Before the image is there: this process may not live to note it after.
		if err := e.Private.Note(named.Name()); err != nil {
			e.log.Warnf("Other jobs with pull policy if-not-present may use %s: %v", want.Familiar(), err)
		}
	}
	start := time.Now()
	stream, err := e.api.ImagePull(ctx, want.Name, opts)
	if err != nil {
		return e.judgePull(err, named, want, source)
	}
	defer stream.Close()
	progress := newProgress(want, e.log, start, e.progressEvery)
	if err := progress.follow(ctx, stream); err != nil {
		return e.judgePull(err, named, want, source)
	}
	progress.summarize(time.Now())
	return nil
}
