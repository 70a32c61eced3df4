package plan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

func jobImage(job gitlab.Job, s settings.Settings) (Image, error) {
	written := job.Image.Name
	if written == "" {
		written = s.Image
	}
	if written == "" {
		return Image{}, failure.Build(errors.New("the job names no image and this runner has no default"),
			"add `image:` to the job, or let the operator set ECR_EXECUTOR_IMAGE")
	}
	name, err := imageName(written, job.Variables)
	if err != nil {
		return Image{}, err
	}
	// The operator's own default needs no permission.
	if job.Image.Name != "" && job.Image.Name != s.Image {
		if err := checkAllowed(name, job.Image.Name, job.Variables, "ALLOWED_IMAGES", s.AllowedImages); err != nil {
			return Image{}, err
		}
	}
	policies, err := pullPolicies(job.Image.PullPolicies, s)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	platform, _ := job.Variables.Expand(job.Image.Options.Docker.Platform)
	return Image{Role: "job", Name: name, Platform: platform, Policies: policies, Verify: s.VerifyLocalImages}.through(s)
}

// imageName expands the variables in what the job says and completes the
// reference with registry and tag.
func imageName(written string, vars gitlab.Variables) (string, error) {
	name, unset := vars.Expand(written)
	parsed, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		what := fmt.Sprintf("image %q", written)
		if name != written {
			what += fmt.Sprintf(" (expanded to %q)", name)
		}
		hint := "write it as registry/repository:tag"
		if len(unset) > 0 {
			hint = "set " + strings.Join(unset, ", ") +
				": not a variable of this job (a protected variable exists only on protected branches)"
		}
		return "", failure.Build(fmt.Errorf("%s: %w", what, err), hint)
	}
	return reference.TagNameOnly(parsed).String(), nil
}

// checkAllowed matches, as the docker executor does, the globs of a setting with
// the image as the job names it. The full name
// (docker.io/library/busybox:latest) matches as well.
func checkAllowed(name, written string, vars gitlab.Variables, setting string, globs []string) error {
	if len(globs) == 0 {
		return nil
	}
	written, _ = vars.Expand(written)
	if ok, err := matchesAny(setting, globs, written, name); err != nil || ok {
		return err
	}
	return failure.Build(fmt.Errorf("image %s is not allowed on this runner", written),
		"allowed are: "+strings.Join(globs, ", "))
}

// matchesAny reports whether one of names matches one of the globs of a setting.
func matchesAny(setting string, globs []string, names ...string) (bool, error) {
	for _, glob := range globs {
		for _, name := range names {
			if ok, err := doublestar.Match(glob, name); err != nil {
				return false, failure.System(fmt.Errorf("ECR_EXECUTOR_%s: pattern %q: %w", setting, glob, err), "mend the pattern")
			} else if ok {
				return true, nil
			}
		}
	}
	return false, nil
}

// pullPolicies returns the policies that both the job (or else the operator)
// wants and the operator allows, in the order wanted.
func pullPolicies(requested []string, s settings.Settings) (settings.PullPolicies, error) {
	wanted, err := settings.ParsePullPolicies(requested)
	if err != nil {
		return nil, failure.Build(fmt.Errorf("pull_policy: %w", err), "mend `pull_policy` of the image")
	}
	configured := s.PullPolicy
	if len(configured) == 0 {
		configured = settings.PullPolicies{settings.PullAlways}
	}
	allowed := s.AllowedPullPolicies
	if len(allowed) == 0 {
		allowed = configured
	}
	if len(wanted) == 0 {
		wanted = configured
	}
	var effective settings.PullPolicies
	for _, policy := range wanted {
		if slices.Contains(allowed, policy) {
			effective = append(effective, policy)
		}
	}
	if len(effective) == 0 {
		return nil, failure.Build(fmt.Errorf("pull policy %q is not allowed on this runner", wanted),
			fmt.Sprintf("allowed are %q: change `pull_policy` of the job, or ECR_EXECUTOR_ALLOWED_PULL_POLICIES", allowed))
	}
	return effective, nil
}

// RunnerImage returns an image that somebody names outside of a job, as a job on
// this runner would get it.
func RunnerImage(written string, s settings.Settings) (Image, error) {
	name, err := imageName(written, gitlab.Variables{})
	if err != nil {
		return Image{}, err
	}
	return Image{Role: "job", Name: name, Policies: settings.PullPolicies{settings.PullAlways}}.through(s)
}

// defaultHelper is where GitLab publishes its helper image
// (gitlab-runner helpers/container/helperimage).
const defaultHelper = "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper"

// HelperImage returns the image for the stages around a job's script.
func HelperImage(job gitlab.Job, s settings.Settings) (Image, error) {
	if s.HelperImage == "" {
		// The tag of a version never changes: no need to ask the registry.
		policies := settings.PullPolicies{settings.PullIfNotPresent}
		return Image{Role: "helper", Name: defaultHelper + ":" + helperTag(job), Policies: policies}.through(s)
	}
	name, err := imageName(s.HelperImage, job.Variables)
	if err != nil {
		return Image{}, failure.System(fmt.Errorf("ECR_EXECUTOR_HELPER_IMAGE: %w", err), failure.Remedy(err))
	}
	policies, err := pullPolicies(nil, s)
	if err != nil {
		return Image{}, failure.System(err, "make ECR_EXECUTOR_PULL_POLICY one of ECR_EXECUTOR_ALLOWED_PULL_POLICIES")
	}
	return Image{Role: "helper", Name: name, Policies: policies}.through(s)
}

var releaseVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+`)

// helperTag is "<arch>-v<version>", or "<arch>-latest" for builds of the
// runner that are no release.
func helperTag(job gitlab.Job) string {
	_, arch, _ := strings.Cut(job.RunnerArch, "/")
	switch arch {
	case "", "amd64":
		arch = "x86_64"
	}
	version := "latest"
	if release := releaseVersion.FindString(job.RunnerVersion); release != "" {
		version = "v" + release
	}
	return arch + "-" + version
}
