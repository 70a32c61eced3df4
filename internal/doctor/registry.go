package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// keychain is how jobs without credentials of their own get at their images.
func (d *doctor) keychain(warn func(string, ...any)) registryauth.Keychain {
	return registryauth.Chain{Keychains: []registryauth.Keychain{d.Logins, d.Registries}, Warn: warn}
}

// registries returns the registries to try, each once: those of the settings,
// then those asked for.
func (d *doctor) registries() (hosts []string) {
	emulated := slices.Sorted(maps.Keys(d.settings.EcrHosts))
	for _, host := range slices.Concat(d.settings.Registries, emulated, d.opts.Registries) {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// unreachable is an error of somebody who gave no answer.
type unreachable interface{ Unreachable() bool }

func (d *doctor) checkIdentity(ctx context.Context) finding {
	hosts := d.registries()
	for _, image := range append(d.opts.Pulls, d.settings.HelperImage, d.settings.Image) {
		hosts = append(hosts, registryauth.Hosts(image)...)
	}
	arn, source, err := d.Registries.Identity(ctx, hosts)
	var silent unreachable
	if errors.As(err, &silent) && silent.Unreachable() {
		return note("not known: "+err.Error(), "jobs do without, when ECR itself answers; "+failure.Remedy(err))
	}
	if err != nil {
		f := failed(err, "")
		if d.settings.WebIdentityVariable == "" {
			return f
		}
		return note(f.detail, fmt.Sprintf("jobs with their own identity ($%s) do without: ", d.settings.WebIdentityVariable)+f.remedy)
	}
	return ok("%s (%s)", arn, source)
}

// ofRunner judges what was tried with the runner's own identity. Where jobs
// assume roles, which depend on project and repository, it may lack the right.
func (d *doctor) ofRunner(err error) finding {
	f := failed(err, "")
	if len(d.settings.Roles) == 0 {
		return f
	}
	return note(f.detail, "this was the runner's own identity; where a role of ECR_EXECUTOR_ROLES matches, jobs take that. Else: "+f.remedy)
}

// checkRegistry gets credentials for a registry, from AWS itself: what is kept
// of earlier ones would hide that there are no new ones.
func (d *doctor) checkRegistry(ctx context.Context, host string) finding {
	// A keychain is asked for a repository; one token is for all of a registry.
	named, err := reference.ParseNormalizedNamed(host + "/any")
	if err != nil || reference.Domain(named) != host {
		return fail(fmt.Sprintf("%q is no registry", host), "write it as host or host:port, such as 111122223333.dkr.ecr.eu-west-1.amazonaws.com")
	}
	var warnings []error
	cred, found, err := d.keychain(func(format string, args ...any) {
		warnings = append(warnings, fmt.Errorf(format, args...))
	}).Resolve(ctx, named)
	switch {
	case err != nil:
		return d.ofRunner(err)
	case !found:
		return fail("no credentials: it is no ECR registry, and the host's Docker config has no login",
			"check its name, log in as the user of gitlab-runner (docker login), or name an emulator in ECR_EXECUTOR_ECR_HOSTS")
	}
	facts := "credentials from " + cred.Source
	if !cred.Expires.IsZero() {
		facts += ", valid until " + cred.Expires.Format(time.RFC3339)
	}
	if len(warnings) > 0 {
		return note(facts+", after: "+errors.Join(warnings...).Error(), "mend the first source or take it away")
	}
	return ok("%s", facts)
}

// checkPull pulls an image as a job without credentials of its own would. Of one
// that was not there before nothing stays.
func (d *doctor) checkPull(ctx context.Context, written string) finding {
	image, err := plan.RunnerImage(written, d.settings)
	if err != nil {
		return failed(err, "")
	}
	before, err := d.Engine.HasImage(ctx, image.Name)
	if err != nil {
		return failed(err, "")
	}
	_, err = d.Engine.EnsureImage(ctx, image, d.keychain(func(string, ...any) {}))
	if !before {
		// It may have come just when time was over.
		if removeErr := d.Engine.RemoveImage(context.WithoutCancel(ctx), image.Name); err == nil && removeErr != nil {
			return note("pulled; removing it: "+removeErr.Error(), "docker rmi "+image.Familiar())
		}
	}
	switch {
	case err != nil:
		f := d.ofRunner(err)
		f.status = Fail // it was asked for by name
		return f
	case before:
		return ok("pulled; it was there before and stays")
	}
	return ok("pulled and removed again")
}
