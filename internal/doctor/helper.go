package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// checkHelper has the helper image on the engine, by the pull policy that jobs
// have it by. It stays: the first job needs it.
func (d *doctor) checkHelper(ctx context.Context) finding {
	if strings.Contains(d.settings.HelperImage, "$") {
		return notChecked("ECR_EXECUTOR_HELPER_IMAGE has variables of the job")
	}
	image, err := plan.HelperImage(d.machine.runner(ctx), d.settings)
	if err != nil {
		return failed(err, "")
	}
	before, err := d.Engine.HasImage(ctx, image.Name)
	if err != nil {
		return failed(err, "")
	}
	local, err := d.Engine.EnsureImage(ctx, image, d.keychain(func(string, ...any) {}))
	if err != nil {
		remedy := failure.Remedy(err)
		if !before {
			remedy += "; or set ECR_EXECUTOR_HELPER_IMAGE to an image that this host reaches"
		} else if d.settings.HelperImage != "" && len(d.settings.PullPolicy) == 0 {
			remedy += "; it is on the engine: ECR_EXECUTOR_PULL_POLICY=if-not-present would use that one"
		}
		return fail(err.Error(), strings.TrimPrefix(remedy, "; "))
	}
	d.helper, d.localHelper = image, local
	if before {
		return ok("%s is on the engine", image.Familiar())
	}
	return ok("%s: pulled", image.Familiar())
}

// toolsScript says in one line what of GitLab Runner's scripts' tools there are,
// behind a mark: an ENTRYPOINT may print too.
const toolsScript = `found=
for tool in bash git git-lfs gitlab-runner-helper gitlab-runner; do
  command -v $tool >/dev/null && found="$found $tool"
done
echo "tools:$found"
`

// checkTools looks for what the stages around the script need.
func (d *doctor) checkTools(ctx context.Context) finding {
	c := d.container("helper-tools", d.helper)
	c.Command = []string{"sh", "-c", toolsScript}
	const wants = "the helper image needs sh, git and gitlab-runner-helper, as GitLab's own has: see ECR_EXECUTOR_HELPER_IMAGE"
	output, code, err := d.Engine.Try(ctx, c, d.localHelper)
	switch {
	case err != nil:
		return fail(err.Error(), wants)
	case code != 0:
		return fail(fmt.Sprintf("looking for git: exit code %d: %s", code, output), wants)
	}
	has := map[string]bool{}
	for line := range strings.Lines(output) {
		if tools, found := strings.CutPrefix(strings.TrimSpace(line), "tools:"); found {
			for tool := range strings.FieldsSeq(tools) {
				has[tool] = true
			}
		}
	}
	var missing, found []string
	if !has["git"] {
		missing = append(missing, "no git")
	}
	if !has["gitlab-runner-helper"] && !has["gitlab-runner"] {
		missing = append(missing, "neither gitlab-runner-helper nor gitlab-runner on PATH (no cache, no artifacts)")
	}
	if len(missing) > 0 {
		return fail(strings.Join(missing, ", "), wants)
	}
	for _, tool := range []string{"bash", "git", "git-lfs", "gitlab-runner-helper", "gitlab-runner"} {
		if has[tool] {
			found = append(found, tool)
		}
	}
	if !has["bash"] {
		found = append([]string{"sh"}, found...)
	}
	if !has["git-lfs"] {
		found = append(found, "no git-lfs")
	}
	return ok("%s", strings.Join(found, ", "))
}
