package plan

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Security is what a container may do beyond Docker's defaults.
type Security struct {
	Privileged bool
	CapAdd     []string
	// Seccomp is the profile for a daemon inside of the container; with it,
	// AppArmor's is off, which would forbid every mount, and the container has a
	// cgroup namespace of its own.
	Seccomp SeccompProfile
	// OpenPaths shows the parts of /proc and /sys that Docker masks: a daemon in
	// a user namespace may not mount them for its containers otherwise.
	OpenPaths bool
	Devices   []string
	// Wrapper is put in front of the container's own command.
	Wrapper []string
}

// SeccompProfile names a seccomp profile; "" is the engine's default.
type SeccompProfile string

// The profiles for daemons.
const (
	SeccompConfined SeccompProfile = "confined"
	SeccompRootless SeccompProfile = "rootless"
)

// secure decides how a sidecar is kept from the host.
func (s *Service) secure(set settings.Settings, written string) error {
	d := s.Daemon
	d.Security = set.DindSecurity
	if d.Security == settings.DindPrivileged {
		allowed, err := matchesAny("ALLOWED_PRIVILEGED_SERVICES", set.AllowedPrivilegedServices, written, cmp.Or(s.Image.Upstream, s.Image.Name))
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
	s.Container.Security = SidecarSecurity(d.Security)
	return nil
}

// SidecarSecurity returns what a sidecar may do that is kept in this way. The
// wrapper of a rootless one wants a user in front of the command.
func SidecarSecurity(kept settings.DindSecurity) Security {
	switch kept {
	case settings.DindPrivileged:
		return Security{Privileged: true}
	case settings.DindRootless:
		return Security{
			Seccomp: SeccompRootless, OpenPaths: true, Devices: []string{"/dev/net/tun"},
			Wrapper: []string{"sh", "-c", rootlessScript, "sidecar"},
		}
	default:
		return Security{
			CapAdd: []string{"SYS_ADMIN", "NET_ADMIN"}, Seccomp: SeccompConfined,
			Wrapper: []string{"sh", "-c", confinedScript, "sidecar"},
		}
	}
}

// confinedScript opens what dockerd writes to and the container owns, its
// cgroups and the settings of its network namespace, then becomes the
// container's command. On cgroup v2 the processes leave the group at the top: it
// could not be divided among containers otherwise.
const confinedScript = `set -eu
rw=remount,bind,rw,nosuid,nodev,noexec
while read -r _ dir type _; do
  case $type in cgroup | cgroup2) mount -o $rw none "$dir" ;; esac
done </proc/self/mounts
mount --bind /proc/sys/net /proc/sys/net
mount -o $rw none /proc/sys/net
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  while read -r pid; do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs || :; done </sys/fs/cgroup/cgroup.procs
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || :
  done
fi
export container=docker
exec "$@"
`

// rootlessScript lets user $1 use the container's own copy of /dev/net/tun, which
// has the mode of the host's, and becomes the container's command as that user.
const rootlessScript = `set -eu
chmod 0666 /dev/net/tun
user=$1
shift
exec su -s /bin/sh "$user" -c 'exec "$0" "$@"' -- "$@"
`

// tidyScript removes from a daemon's data in $1, before the daemon starts, all
// that an earlier job could have left running, then becomes the container's
// command: of a cache, images and build cache are wanted. Once the daemon is up
// it would be too late: a container that restarts by itself is up as well, with
// the next job's credentials in reach. What the containers wrote goes with them.
// Docker keeps nothing but files and folders there: a link or a pipe is of a job
// that was root in its sidecar, and would lead this script astray.
const tidyScript = `data=$1
shift
[ ! -e "$data/image" ] || find "$data/image" ! -type d ! -type f -exec rm -f {} +
for mount in "$data"/image/*/layerdb/mounts/*; do
  driver=${mount#"$data"/image/} driver=${driver%%/*}
  layer=$(cat "$mount/mount-id" 2>/dev/null)
  case $layer in
  '' | *[!0-9a-f]*) ;;
  *) [ -L "$data/$driver" ] || rm -rf "$data/$driver/$layer" "$data/$driver/$layer-init" ;;
  esac
  rm -rf "$mount"
done
rm -rf "$data/containers" "$data/swarm" "$data/plugins" "$data/network" "$data/volumes"
exec "$@"
`
