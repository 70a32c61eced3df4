package plan

import (
	"fmt"
	"path"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Security is what a container may do beyond Docker's defaults.
type Security struct {
	Privileged bool
	CapAdd     []string
	// Daemon opens the seccomp profile for what dockerd and runc do, turns
	// AppArmor's off and gives the container a cgroup namespace of its own.
	Daemon bool
	// OpenPaths shows the parts of /proc and /sys that Docker masks: a daemon
	// in a user namespace may not mount them otherwise.
	OpenPaths bool
	Devices   []string
	// Wrapper is put in front of the container's own command.
	Wrapper []string
}

// secure decides how a sidecar is kept from the host.
func (s *Service) secure(set settings.Settings, written string) error {
	d := s.Daemon
	d.Security = set.DindSecurity
	if d.Security == settings.DindPrivileged {
		allowed, err := matchesAny("ALLOWED_PRIVILEGED_SERVICES", set.AllowedPrivilegedServices, written, s.Image.Name)
		if err != nil {
			return err
		}
		if !allowed {
			d.Security = settings.DindConfined
			d.Notes = append(d.Notes, fmt.Sprintf("%s is not in ECR_EXECUTOR_ALLOWED_PRIVILEGED_SERVICES: it runs confined", s.Image.Name))
		}
	}
	// An image whose user is not root has no use for more power.
	if d.Security == settings.DindConfined && strings.Contains(path.Base(s.Image.Name), "rootless") {
		d.Security = settings.DindRootless
	}
	switch d.Security {
	case settings.DindPrivileged:
		s.Container.Security = Security{Privileged: true}
	case settings.DindConfined:
		s.Container.Security = Security{
			CapAdd: []string{"SYS_ADMIN", "NET_ADMIN"}, Daemon: true, OpenPaths: true,
			Wrapper: []string{"sh", "-c", confinedScript, "sidecar"},
		}
	case settings.DindRootless:
		s.Container.Security = Security{Daemon: true, OpenPaths: true, Devices: []string{"/dev/net/tun"}}
	}
	return nil
}

// confinedScript makes the container's own cgroups writable, then becomes the
// container's command.
const confinedScript = `awk '$3 ~ /^cgroup/ || $2 == "/sys/fs/cgroup" {print $2}' /proc/mounts | while read -r dir; do
  mount -o remount,bind,rw "$dir"
done
exec "$@"
`
