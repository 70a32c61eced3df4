package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// daemonAlias is a name that the job's daemon always has.
const daemonAlias = "docker"

// Daemon is what makes a service the job's Docker daemon, a DinD sidecar.
type Daemon struct {
	// Socket is the path of the daemon's Unix socket in the sidecar and in the
	// job; "" when the job's own command says where the daemon listens.
	Socket string
	// Flags are the daemon's.
	Flags []string
	// TLS is set when the daemon has a port with TLS.
	TLS      *TLS
	Security settings.DindSecurity
	// Notes are lines for the job log: what the job should know of the choice.
	Notes []string
	// Cache is the volume with the images and build cache of earlier jobs; "":
	// this job begins with none. Only one daemon at a time may have it.
	Cache       string
	CacheLabels map[string]string
	// Data is where the daemon keeps images and containers.
	Data Mount
}

// Cache is what a project's sidecars have kept on the engine.
type Cache struct {
	Name  string
	Size  int64 // bytes
	InUse bool
}

// CacheMount is Data kept in the cache.
func (d *Daemon) CacheMount() Mount {
	cache := d.Data
	cache.Volume, cache.Labels = d.Cache, d.CacheLabels
	return cache
}

// TLS is where the daemon and the job's clients find their certificates.
type TLS struct {
	// Dir gets server/{ca,cert,key}.pem in the sidecar, and in sidecar and job
	// client/{ca,cert,key}.pem, as in docker:dind.
	Dir string
	// Names are those of the server.
	Names []string
}

// asksForDaemon reports whether the job wants a DinD sidecar without naming it.
func asksForDaemon(vars gitlab.Variables) bool {
	wanted, err := strconv.ParseBool(vars.Get("ECR_DIND"))
	return err == nil && wanted
}

// addDaemon makes a DinD sidecar of a service.
func (p *Plan) addDaemon(job gitlab.Job, s settings.Settings, service Service, wanted gitlab.Image) error {
	if first := p.Docker(); first != nil {
		return failure.Build(fmt.Errorf("the job has a Docker daemon already: %s", first.Image.Familiar()), "leave one of the two out")
	}
	service.Image.Role = "sidecar"
	if wanted.Options.Docker.User != "" {
		return failure.Build(errors.New("a sidecar runs as its image's user, and root where it must"), "leave `docker: user` of the service out")
	}
	if !slices.Contains(service.Aliases, daemonAlias) {
		for _, other := range p.Services {
			if slices.Contains(other.Aliases, daemonAlias) {
				return failure.Build(fmt.Errorf("service %s has the alias %q, which is the daemon's", other.Image.Familiar(), daemonAlias), "give it another alias")
			}
		}
		service.Aliases = append(service.Aliases, daemonAlias)
	}
	ownCommand := len(wanted.Command) > 0 && !daemonArguments(wanted.Command)
	how, err := chooseTransport(job.Variables, ownCommand)
	if err != nil {
		return err
	}
	d := &Daemon{Flags: p.daemonFlags(s, how)}
	if !ownCommand {
		d.Socket = socketPath
	}
	service.Daemon = d
	written, _ := job.Variables.Expand(wanted.Name)
	if err := service.secure(s, written); err != nil {
		return err
	}
	if d.Security == settings.DindRootless {
		if err := keepOutside(&service, wanted); err != nil {
			return err
		}
	}
	service.Env = daemonEnv(service.Env, how, d, s)
	p.addProxy(job, &service)
	p.addData(job, s, &service)
	if how.certDir != "" {
		d.TLS = &TLS{Dir: how.certDir, Names: slices.Concat(service.Aliases, []string{"localhost"})}
		certs := Mount{Volume: p.Network.Name + "-certs", Target: how.clientCerts(), Labels: p.Network.Labels}
		service.Mounts = append(service.Mounts, certs)
		p.Build.Mounts = append(p.Build.Mounts[:len(p.Build.Mounts):len(p.Build.Mounts)], certs)
	}
	p.Build.Env = append(p.Build.Env, how.env...)
	p.Services = append(p.Services, service)
	return nil
}

func (p *Plan) daemonFlags(s settings.Settings, how transport) []string {
	flags := append([]string{"--host=unix://" + socketPath}, how.flags()...)
	if p.Network.MTU > 0 {
		flags = append(flags, "--mtu="+strconv.Itoa(p.Network.MTU))
	}
	for _, mirror := range s.DindRegistryMirrors {
		flags = append(flags, "--registry-mirror="+mirror)
	}
	for _, registry := range s.DindInsecureRegistries {
		flags = append(flags, "--insecure-registry="+registry)
	}
	// The engine's resolver on a loopback address does not serve the containers
	// inside: without a server of their own they would ask a public one.
	for _, server := range s.Dns {
		flags = append(flags, "--dns="+server)
	}
	for _, domain := range s.DnsSearch {
		flags = append(flags, "--dns-search="+domain)
	}
	return flags
}

// daemonEnv is the environment of the sidecar: the job's, without what is meant
// for its clients.
func daemonEnv(env []string, how transport, d *Daemon, s settings.Settings) []string {
	env = slices.DeleteFunc(env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{"DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_TLS_CERTDIR", "DOCKER_CONFIG", "DOCKER_CONTEXT"}, name)
	})
	env = append(env, "DOCKER_TLS_CERTDIR="+how.certDir)
	if d.Security == settings.DindRootless {
		// What docker:dind-rootless's entrypoint asks for: ports must be let
		// through to the daemon's network namespace.
		if how.port != "" {
			env = append(env, fmt.Sprintf("DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS=-p 0.0.0.0:%s:%s/tcp", how.port, how.port))
		}
		if s.NetworkMtu > 0 {
			env = append(env, fmt.Sprintf("DOCKERD_ROOTLESS_ROOTLESSKIT_MTU=%d", s.NetworkMtu))
		}
	}
	return env
}

// keepOutside leaves nothing of the job's own to what starts a rootless daemon:
// that runs outside of the daemon's user namespace, where a job must not get.
func keepOutside(service *Service, wanted gitlab.Image) error {
	own := ""
	switch {
	case len(wanted.Entrypoint) > 0:
		own = "an entrypoint"
	case len(wanted.Command) > 0 && !strings.HasPrefix(wanted.Command[0], "-"):
		own = "a command"
	}
	if own != "" {
		return failure.Build(fmt.Errorf("a rootless sidecar cannot have %s of the job's own", own), "leave it out; a command of flags for dockerd is possible")
	}
	service.Env = slices.DeleteFunc(service.Env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return !slices.Contains([]string{"DOCKER_DRIVER", "DOCKER_BUILDKIT"}, name)
	})
	return nil
}

// addProxy passes the job's proxies on to the daemon, which pulls through them,
// and keeps the way to the daemon itself off them.
func (p *Plan) addProxy(job gitlab.Job, service *Service) {
	proxied := false
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if value, ok := job.Variables.Shareable(name); ok {
			proxied = true
			service.Env = append(service.Env, name+"="+value)
		}
	}
	if !proxied {
		return
	}
	names := append([]string{"localhost", "127.0.0.1"}, service.Aliases...)
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		value, _ := job.Variables.Shareable(name)
		service.Env = append(service.Env, name+"="+withNames(value, names))
		if !job.Variables.Has(name) {
			p.Build.Env = append(p.Build.Env, name+"="+withNames("", names))
		} else if !strings.Contains(value, daemonAlias) {
			service.Daemon.Notes = append(service.Daemon.Notes,
				fmt.Sprintf("%s of the job lacks %q: clients that use TCP reach the daemon through the proxy; add it", name, daemonAlias))
		}
	}
}

// Where dockerd keeps its data, and where docker:dind-rootless does.
const (
	dataDir         = "/var/lib/docker"
	rootlessDataDir = "/home/rootless/.local/share/docker"
)

// addData gives the daemon a volume for its data: overlay2 does not work on the
// container's own file system.
func (p *Plan) addData(job gitlab.Job, s settings.Settings, service *Service) {
	d := service.Daemon
	d.Data = Mount{Volume: p.Network.Name + "-docker-data", Target: dataDir, Labels: p.Network.Labels}
	if d.Security == settings.DindRootless {
		d.Data.Target, d.Data.Copy = rootlessDataDir, true
	}
	if s.DindCache == settings.DindCacheProject {
		d.Cache = "gitlab-dind-" + slot(job) + "-" + string(d.Security)
		d.CacheLabels = sharedLabels(job)
		d.CacheLabels[LabelDindCache] = "true"
		tidy := []string{"sh", "-c", tidyScript, "tidy", d.Data.Target}
		service.Container.Security.Wrapper = append(tidy, service.Container.Security.Wrapper...)
	}
}
