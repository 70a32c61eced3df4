package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/owner"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// container is a short-lived one. When this process is killed before it has
// removed it, the next job does.
func (d *doctor) container(what string, image plan.Image) plan.Container {
	labels := map[string]string{}
	maps.Copy(labels, d.settings.ContainerLabels)
	labels[plan.LabelJob] = d.key
	labels[plan.LabelTimeout] = "60"
	if self := owner.Self(); self != "" {
		labels[plan.LabelOwner] = self
	}
	return plan.Container{
		Name: d.key + "-" + what, Image: image,
		// A network of its own would be most of the cost.
		Network: "none", Silent: true, Runtime: d.settings.Runtime, Labels: labels,
	}
}

// namespaceScript does what a rootless daemon does first: a user namespace, and
// a /proc for the containers in it.
const namespaceScript = `command -v unshare >/dev/null || { echo "no unshare"; exit 0; }
exec unshare -U -r -m -p -f --mount-proc true
`

// The answers of images that cannot tell: no unshare, and a shell's exit code
// when it does not find a tool of the wrapper.
const (
	noUnshare = "no unshare"
	notFound  = 127
)

// sidecarImage is the runner's own sidecar where the engine has it, else the
// helper image. What may be refused is how a sidecar is kept; of the image, the
// wrapper's tools matter.
func (d *doctor) sidecarImage(ctx context.Context) (plan.Image, plan.LocalImage) {
	image, err := plan.RunnerImage(d.settings.DindImage, d.settings)
	if err == nil {
		image.Role, image.Policies = "sidecar", settings.PullPolicies{settings.PullNever}
		if local, err := d.Engine.EnsureImage(ctx, image, d.keychain(func(string, ...any) {})); err == nil {
			return image, local
		}
	}
	return d.helper, d.localHelper
}

// checkSidecar runs next to nothing in a container that is kept as a sidecar is.
func (d *doctor) checkSidecar(ctx context.Context, kind settings.DindSecurity) finding {
	image, local := d.sidecarImage(ctx)
	c := d.container("sidecar-"+string(kind), image)
	c.Security = plan.SidecarSecurity(kind)
	c.User = "0"
	words := []string{"true"}
	if kind == settings.DindRootless {
		words = []string{"nobody", "sh", "-c", namespaceScript}
	}
	words = slices.Concat(c.Security.Wrapper, words)
	c.Entrypoint, c.Command = words[:1], words[1:]

	output, code, err := d.Engine.Try(ctx, c, local)
	switch {
	case err == nil && code == notFound:
		return note(fmt.Sprintf("cannot be told: %s of the %s image %s", output, image.Role, image.Familiar()), "docker pull "+d.settings.DindImage+" and look again")
	case err == nil && output == noUnshare:
		return ok("the engine runs it (user namespaces were not tried: %s has no unshare)", image.Familiar())
	case err == nil && code == 0:
		return ok("the engine runs it")
	case err == nil:
		err = fmt.Errorf("exit code %d: %s", code, output)
	}
	remedy := sidecarRemedy(kind, err)
	if d.mustRun(kind) {
		return fail(refusal(err), remedy)
	}
	detail := "refused, and not asked for by ECR_EXECUTOR_DIND_SECURITY=" + string(d.settings.DindSecurity)
	if kind == settings.DindPrivileged {
		return note(detail+": "+refusal(err), "")
	}
	return note(detail+": "+refusal(err), "jobs with a rootless image (docker:dind-rootless) fail here: "+remedy)
}

// refusal is what the engine said, without who said it to whom.
func refusal(err error) string {
	text := err.Error()
	for _, before := range []string{"Error response from daemon: ", "OCI runtime create failed: ", "runc create failed: "} {
		if _, after, found := strings.Cut(text, before); found {
			text = after
		}
	}
	return strings.TrimSuffix(text, ": unknown")
}

// mustRun reports whether jobs fail where the engine refuses such a sidecar.
// With privileged, images that are not allowed to be run confined.
func (d *doctor) mustRun(kind settings.DindSecurity) bool {
	wanted := d.settings.DindSecurity
	return kind == wanted || kind == settings.DindConfined && wanted == settings.DindPrivileged
}

func sidecarRemedy(kind settings.DindSecurity, err error) string {
	text := err.Error()
	switch {
	case kind == settings.DindPrivileged:
		return "set ECR_EXECUTOR_DIND_SECURITY=confined (the default), or let the engine's host run privileged containers"
	case strings.Contains(text, "/dev/net/tun"):
		return "modprobe tun, and write tun into /etc/modules-load.d/tun.conf"
	case kind == settings.DindRootless && strings.Contains(text, "unshare"):
		return "allow user namespaces on the engine's host: sysctl user.max_user_namespaces=28633 kernel.unprivileged_userns_clone=1 " +
			"kernel.apparmor_restrict_unprivileged_userns=0 (those that it knows)"
	case failure.Remedy(err) != "" && !failure.IsBuild(err):
		return failure.Remedy(err)
	}
	return "docs/security.md says what a sidecar needs of the engine"
}
