package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// withDaemon plans a job with a sidecar.
func withDaemon(t *testing.T, s settings.Settings, service gitlab.Image, variables ...string) (Plan, Service) {
	t.Helper()
	j := job(t, variables...)
	if service.Name == "" {
		service.Name = "docker:27-dind"
	}
	j.Services = []gitlab.Image{service}
	p := mustPlan(t, j, s)
	if p.Docker() == nil || p.Client == nil {
		t.Fatalf("no daemon, or nothing for its clients: %+v", p)
	}
	return p, *p.Docker()
}

// value returns the last value of a variable in an environment.
func value(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if got, ok := strings.CutPrefix(entry, name+"="); ok {
			return got
		}
	}
	return ""
}

func TestTransports(t *testing.T) {
	const unix = "unix:///gitlab-docker/docker.sock"
	tests := map[string]struct {
		variables []string
		command   []string
		host      string // what the job's DOCKER_HOST becomes; "" when the job sets it
		flag      string // of the daemon
		certs     string // where the client certificates are
	}{
		"nothing said":    {host: unix},
		"no certificates": {variables: []string{"DOCKER_TLS_CERTDIR="}, host: "tcp://docker:2375", flag: "--host=tcp://0.0.0.0:2375 --tls=false"},
		"certificates":    {variables: []string{"DOCKER_TLS_CERTDIR=/certs"}, host: "tcp://docker:2376", flag: "--host=tcp://0.0.0.0:2376 --tlsverify", certs: "/certs/client"},
		"elsewhere":       {variables: []string{"DOCKER_TLS_CERTDIR=/my/certs/"}, host: "tcp://docker:2376", flag: "--tlskey=/my/certs/server/key.pem", certs: "/my/certs/client"},
		"plain host":      {variables: []string{"DOCKER_HOST=tcp://docker:2375"}, flag: "--host=tcp://0.0.0.0:2375 --tls=false"},
		"a port":          {variables: []string{"DOCKER_HOST=tcp://docker:4243"}, flag: "--host=tcp://0.0.0.0:4243 --tls=false"},
		"no port":         {variables: []string{"DOCKER_HOST=tcp://docker"}, flag: "--host=tcp://0.0.0.0:2375 --tls=false"},
		"TLS host":        {variables: []string{"DOCKER_HOST=tcp://docker:2376"}, flag: "--tlsverify", certs: "/certs/client"},
		"TLS host, plain": {variables: []string{"DOCKER_HOST=tcp://docker:2376", "DOCKER_TLS_CERTDIR="}, flag: "--host=tcp://0.0.0.0:2376 --tls=false"},
		"own socket":      {variables: []string{"DOCKER_HOST=unix:///mine.sock"}},
		"own command":     {command: []string{"sh", "-c", "exec dockerd-entrypoint.sh"}, host: "tcp://docker:2375", flag: "--host=tcp://0.0.0.0:2375 --tls=false"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, daemon := withDaemon(t, dind(), gitlab.Image{Command: tt.command}, tt.variables...)
			if got := value(p.Build.Env, "DOCKER_HOST"); got != tt.host {
				t.Errorf("DOCKER_HOST = %q, want %q", got, tt.host)
			}
			flags := strings.Join(daemon.Daemon.Flags, " ")
			if !strings.Contains(flags, tt.flag) || (tt.flag == "" && strings.Contains(flags, "tcp://")) || !strings.Contains(flags, "--host="+unix) {
				t.Errorf("flags = %q, want %q", flags, tt.flag)
			}
			certs := ""
			for _, mount := range p.Build.Mounts {
				if strings.HasSuffix(mount.Volume, "-certs") {
					certs = mount.Target
				}
			}
			if certs != tt.certs || (daemon.Daemon.TLS != nil) != (tt.certs != "") {
				t.Errorf("certificates at %q, want %q", certs, tt.certs)
			}
			if (daemon.Daemon.Socket == "") != (tt.command != nil) {
				t.Errorf("socket %q", daemon.Daemon.Socket)
			}
		})
	}
	for _, dir := range []string{"certs", "/", "/etc", "/builds/", "/gitlab-docker", "/certs/../etc"} {
		j := job(t, "DOCKER_TLS_CERTDIR="+dir)
		j.Services = []gitlab.Image{{Name: "docker:dind"}}
		if _, err := New(j, dind(), nil); err == nil || !failure.IsBuild(err) || !strings.Contains(err.Error(), "DOCKER_TLS_CERTDIR") {
			t.Errorf("DOCKER_TLS_CERTDIR=%s: error = %v", dir, err)
		}
	}
}

func TestDaemonSecurity(t *testing.T) {
	tests := map[string]struct {
		image    string
		security settings.DindSecurity
		allowed  settings.List
		want     settings.DindSecurity
		note     string
	}{
		"by default":             {security: settings.DindConfined, want: settings.DindConfined},
		"rootless":               {security: settings.DindRootless, want: settings.DindRootless},
		"a rootless image":       {image: "docker:27-dind-rootless", security: settings.DindConfined, want: settings.DindRootless},
		"privileged":             {security: settings.DindPrivileged, allowed: settings.List{"docker:*"}, want: settings.DindPrivileged},
		"privileged, full name":  {security: settings.DindPrivileged, allowed: settings.List{"docker.io/library/docker:*"}, want: settings.DindPrivileged},
		"privileged, not listed": {security: settings.DindPrivileged, allowed: settings.List{"other:*"}, want: settings.DindConfined, note: "ALLOWED_PRIVILEGED_SERVICES"},
		"privileged, no list":    {security: settings.DindPrivileged, want: settings.DindConfined, note: "ALLOWED_PRIVILEGED_SERVICES"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := dind()
			s.DindSecurity, s.AllowedPrivilegedServices = tt.security, tt.allowed
			p, daemon := withDaemon(t, s, gitlab.Image{Name: tt.image})
			if daemon.Daemon.Security != tt.want || !strings.Contains(strings.Join(daemon.Daemon.Notes, "\n"), tt.note) {
				t.Errorf("security %s, notes %q; want %s", daemon.Daemon.Security, daemon.Daemon.Notes, tt.want)
			}
			has := daemon.Container.Security
			if has.Privileged != (tt.want == settings.DindPrivileged) || (len(has.CapAdd) > 0) != (tt.want == settings.DindConfined) {
				t.Errorf("the container has %+v", has)
			}
			for _, c := range []Container{p.Build, p.Helper} {
				if c.Security.Privileged || len(c.Security.CapAdd) > 0 || len(c.Security.Devices) > 0 || c.Security.Seccomp != "" {
					t.Errorf("%s has more than Docker's defaults: %+v", c.Name, c.Security)
				}
			}
		})
	}
}

func TestDaemonCommand(t *testing.T) {
	flags := []string{"--host=unix:///s"}
	tests := map[string]struct {
		image      LocalImage
		entrypoint []string
		command    []string
		want       string
	}{
		"docker:dind":         {image: LocalImage{Entrypoint: []string{"dockerd-entrypoint.sh"}}, want: "dockerd-entrypoint.sh dockerd --host=unix:///s"},
		"with flags":          {image: LocalImage{Entrypoint: []string{"dockerd-entrypoint.sh"}}, command: []string{"--mtu", "1400"}, want: "dockerd-entrypoint.sh dockerd --host=unix:///s --mtu 1400"},
		"dockerd by name":     {image: LocalImage{Entrypoint: []string{"dockerd-entrypoint.sh"}}, command: []string{"dockerd", "--debug"}, want: "dockerd-entrypoint.sh dockerd --host=unix:///s --debug"},
		"the same flag":       {image: LocalImage{Entrypoint: []string{"dockerd-entrypoint.sh"}}, command: []string{"dockerd", "--host=unix:///s"}, want: "dockerd-entrypoint.sh dockerd --host=unix:///s"},
		"as for Kubernetes":   {entrypoint: []string{"env", "-u", "DOCKER_HOST"}, command: []string{"dockerd-entrypoint.sh"}, want: "env -u DOCKER_HOST dockerd-entrypoint.sh dockerd --host=unix:///s"},
		"dockerd as command":  {image: LocalImage{Command: []string{"dockerd"}}, want: "dockerd --host=unix:///s"},
		"dockerd is the path": {image: LocalImage{Entrypoint: []string{"/usr/bin/dockerd"}}, want: "/usr/bin/dockerd --host=unix:///s"},
		"no entrypoint":       {image: LocalImage{Entrypoint: []string{"x"}}, entrypoint: []string{""}, command: []string{"dockerd"}, want: "dockerd --host=unix:///s"},
		"nothing at all":      {want: "dockerd --host=unix:///s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			service := Service{
				Container: Container{Entrypoint: tt.entrypoint, Command: tt.command, Security: Security{Wrapper: []string{"wrap"}}},
				Daemon:    &Daemon{Socket: "/s", Flags: flags, Security: settings.DindConfined},
			}
			c, err := service.For(tt.image)
			if got := strings.Join(slices.Concat(c.Entrypoint, c.Command), " "); err != nil || got != "wrap "+tt.want {
				t.Errorf("runs %q (%v), want %q", got, err, "wrap "+tt.want)
			}
		})
	}
	own := Service{Container: Container{Command: []string{"sh", "-c", "x"}}, Daemon: &Daemon{Flags: flags}}
	if c, err := own.For(LocalImage{Entrypoint: []string{"entry"}}); err != nil || strings.Join(slices.Concat(c.Entrypoint, c.Command), " ") != "entry sh -c x" {
		t.Errorf("a command of the job's own became %q %q (%v)", c.Entrypoint, c.Command, err)
	}
}

func TestRootlessUser(t *testing.T) {
	service := Service{Daemon: &Daemon{Security: settings.DindRootless}, Container: Container{Security: Security{Wrapper: []string{"wrap"}}}}
	c, err := service.For(LocalImage{User: "rootless", Command: []string{"dockerd"}})
	if err != nil || c.User != "0" || !slices.Equal(c.Entrypoint, []string{"wrap", "rootless", "dockerd"}) {
		t.Errorf("container %+v (%v)", c, err)
	}
	for _, user := range []string{"", "0", "root", "0:0"} {
		if _, err := service.For(LocalImage{User: user}); err == nil || !failure.IsBuild(err) {
			t.Errorf("user %q: error = %v, want a build failure", user, err)
		}
	}
}

// A job has no part in what starts a rootless daemon.
func TestRootlessStart(t *testing.T) {
	s := dind()
	s.DindSecurity = settings.DindRootless
	_, daemon := withDaemon(t, s, gitlab.Image{Command: []string{"--debug"}, Variables: []gitlab.Variable{{Key: "PATH", Value: "/builds/x"}, {Key: "DOCKER_DRIVER", Value: "vfs"}}})
	if value(daemon.Env, "PATH") != "" || value(daemon.Env, "DOCKER_DRIVER") != "vfs" || value(daemon.Env, "DOCKER_CONFIG") == "" {
		t.Errorf("environment %q", daemon.Env)
	}
	for _, own := range []gitlab.Image{{Name: "docker:dind", Entrypoint: []string{"sh"}}, {Name: "docker:dind", Command: []string{"sh"}}} {
		j := job(t)
		j.Services = []gitlab.Image{own}
		if _, err := New(j, s, nil); err == nil || !failure.IsBuild(err) || !strings.Contains(err.Error(), "of the job's own") {
			t.Errorf("%+v: error = %v", own, err)
		}
	}
}

func TestDaemonEnvironment(t *testing.T) {
	s := dind()
	s.NetworkMtu, s.Dns = 1400, settings.List{"10.0.0.2"}
	s.DindRegistryMirrors, s.DindInsecureRegistries = settings.List{"https://m"}, settings.List{"r:5000"}
	p, daemon := withDaemon(t, s, gitlab.Image{Variables: []gitlab.Variable{{Key: "DOCKER_HOST", Value: "tcp://elsewhere:1"}}},
		"HTTPS_PROXY=http://proxy:3128", "DOCKER_HOST=tcp://docker:2375")
	flags := strings.Join(daemon.Daemon.Flags, " ")
	for _, want := range []string{"--mtu=1400", "--dns=10.0.0.2", "--registry-mirror=https://m", "--insecure-registry=r:5000"} {
		if !strings.Contains(flags, want) {
			t.Errorf("flags = %q, want %s", flags, want)
		}
	}
	if value(daemon.Env, "DOCKER_HOST") != "" || value(daemon.Env, "HTTPS_PROXY") != "http://proxy:3128" || value(daemon.Env, "NO_PROXY") != "localhost,127.0.0.1,docker" {
		t.Errorf("the daemon's environment: %q", daemon.Env)
	}
	if value(p.Build.Env, "NO_PROXY") != "localhost,127.0.0.1,docker" {
		t.Errorf("the job's environment: %q", p.Build.Env)
	}
	_, daemon = withDaemon(t, s, gitlab.Image{}, "HTTPS_PROXY=http://proxy:3128", "NO_PROXY=.corp")
	if !strings.Contains(strings.Join(daemon.Daemon.Notes, " "), `NO_PROXY of the job lacks "docker"`) || value(daemon.Env, "NO_PROXY") != ".corp,localhost,127.0.0.1,docker" {
		t.Errorf("notes %q, environment %q", daemon.Daemon.Notes, daemon.Env)
	}
	s.DindSecurity = settings.DindRootless
	_, daemon = withDaemon(t, s, gitlab.Image{}, "DOCKER_TLS_CERTDIR=/certs")
	if value(daemon.Env, "DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS") != "-p 0.0.0.0:2376:2376/tcp" || value(daemon.Env, "DOCKERD_ROOTLESS_ROOTLESSKIT_MTU") != "1400" {
		t.Errorf("the rootless daemon's environment: %q", daemon.Env)
	}
}

// Caches of protected and unprotected refs, of other slots and of other kinds of
// daemons are apart; without the setting there is none.
func TestDaemonCaches(t *testing.T) {
	s := dind()
	if _, daemon := withDaemon(t, s, gitlab.Image{}); daemon.Daemon.Cache != "" {
		t.Errorf("a cache without the setting: %s", daemon.Daemon.Cache)
	}
	s.DindCache = settings.DindCacheProject
	seen := map[string]string{}
	for name, change := range map[string]func(*gitlab.Job, *settings.Settings){
		"base":      func(*gitlab.Job, *settings.Settings) {},
		"protected": func(j *gitlab.Job, _ *settings.Settings) { j.Protected = true },
		"slot":      func(j *gitlab.Job, _ *settings.Settings) { j.Slot = 1 },
		"project":   func(j *gitlab.Job, _ *settings.Settings) { j.ProjectID = 9 },
		"rootless":  func(_ *gitlab.Job, s *settings.Settings) { s.DindSecurity = settings.DindRootless },
	} {
		j, set := job(t), s
		j.Services = []gitlab.Image{{Name: "docker:dind"}}
		change(&j, &set)
		p := mustPlan(t, j, set)
		daemon := p.Docker().Daemon
		if other, taken := seen[daemon.Cache]; taken {
			t.Errorf("%s and %s share cache %s", name, other, daemon.Cache)
		}
		seen[daemon.Cache] = name
		if mount := daemon.CacheMount(); mount.Volume != daemon.Cache || mount.Labels[LabelJob] != "" || mount.Labels[LabelDindCache] == "" || mount.Target != daemon.Data.Target {
			t.Errorf("the cache is mounted as %+v", mount)
		}
	}
}

func TestClient(t *testing.T) {
	registries := []string{"111122223333.dkr.ecr.eu-west-1.amazonaws.com"}
	p, err := New(job(t), settings.Settings{}, registries)
	if err != nil || p.Client == nil || !slices.Equal(p.Client.Registries, registries) {
		t.Fatalf("client = %+v (%v)", p.Client, err)
	}
	if value(p.Build.Env, "DOCKER_CONFIG") != "/gitlab-docker/config" || value(p.Build.Env, "REGISTRY_AUTH_FILE") != "/gitlab-docker/config/config.json" ||
		value(p.Build.Env, "DOCKER_HOST") != "" {
		t.Errorf("environment %q", p.Build.Env)
	}
	for _, c := range []Container{p.Build, p.Helper} {
		if last := c.Mounts[len(c.Mounts)-1]; !last.Memory || last.Target != "/gitlab-docker" || last.Labels[LabelJob] != p.Key {
			t.Errorf("%s has %+v", c.Name, last)
		}
	}
	if p, _ := New(job(t, "DOCKER_CONFIG=/mine"), settings.Settings{}, registries); p.Client != nil {
		t.Error("a job with a Docker config of its own gets another")
	}
	if p := mustPlan(t, job(t), settings.Settings{}); p.Client != nil || len(p.Build.Mounts) != 2 {
		t.Error("a job without daemon and registries gets a Docker config")
	}
}
