package plan

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
)

// The ports of a Docker daemon
// (https://docs.docker.com/engine/daemon/remote-access/).
const (
	plainPort = "2375"
	tlsPort   = "2376"
)

// transport is how the job's clients reach the daemon beside its Unix socket.
type transport struct {
	port    string // "": no TCP
	certDir string // "": no TLS
	// env is what the clients need to know and the job does not say itself.
	env []string
}

// chooseTransport follows the variables of the job: what works with the docker
// executor and an official docker:dind image works the same here. A job that
// says nothing gets the Unix socket: no port, no certificates, nothing that
// others could reach.
func chooseTransport(vars gitlab.Variables, ownCommand bool) (transport, error) {
	var t transport
	host, certDir := vars.Get("DOCKER_HOST"), vars.Get("DOCKER_TLS_CERTDIR")
	if host == "" {
		host = "unix://" + socketPath
		switch {
		case certDir != "":
			host = "tcp://" + daemonAlias + ":" + tlsPort
		case vars.Has("DOCKER_TLS_CERTDIR"), ownCommand:
			// A command of the job's own decides where the daemon listens;
			// without certificates, docker:dind opens this port.
			host = "tcp://" + daemonAlias + ":" + plainPort
		}
		t.env = append(t.env, "DOCKER_HOST="+host)
	}
	address, err := url.Parse(host)
	if err != nil {
		return t, failure.Build(fmt.Errorf("the job's DOCKER_HOST: %w", err), "leave DOCKER_HOST out, or write it as tcp://docker:2376")
	}
	if address.Scheme != "tcp" {
		return t, nil
	}
	t.port = address.Port()
	if t.port == "" {
		t.port = plainPort
	}
	if t.port != tlsPort || (certDir == "" && vars.Has("DOCKER_TLS_CERTDIR")) {
		return t, nil
	}
	if t.certDir = certDir; certDir == "" {
		t.certDir = "/certs" // what docker:dind has
	}
	if err := checkCertDir(t.certDir); err != nil {
		return t, err
	}
	for name, value := range map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": t.clientCerts()} {
		if !vars.Has(name) {
			t.env = append(t.env, name+"="+value)
		}
	}
	return t, nil
}

func (t transport) clientCerts() string { return path.Join(t.certDir, "client") }

// checkCertDir keeps the certificates off what the containers have there
// already.
func checkCertDir(dir string) error {
	clean := path.Clean(dir)
	for _, reserved := range []string{"/", "/etc", "/usr", "/bin", "/lib", "/proc", "/sys", "/dev", "/run", "/var", BuildsDir, CacheDir, clientDir} {
		if clean == reserved {
			return failure.Build(fmt.Errorf("DOCKER_TLS_CERTDIR is %q: the certificates need a folder of their own", dir), `set it to "/certs"`)
		}
	}
	if !path.IsAbs(dir) {
		return failure.Build(fmt.Errorf("DOCKER_TLS_CERTDIR is %q, which is not an absolute path", dir), `set it to "/certs", or to "" for a daemon without TLS`)
	}
	return nil
}

// flags returns the daemon's flags for the TCP port.
func (t transport) flags() []string {
	if t.port == "" {
		return nil
	}
	flags := []string{"--host=tcp://" + net.JoinHostPort("0.0.0.0", t.port)}
	if t.certDir == "" {
		return append(flags, "--tls=false")
	}
	server := path.Join(t.certDir, "server")
	return append(flags, "--tlsverify", "--tlscacert="+server+"/ca.pem", "--tlscert="+server+"/cert.pem", "--tlskey="+server+"/key.pem")
}

// withNames adds names to the value of NO_PROXY.
func withNames(noProxy string, names []string) string {
	parts := names
	if noProxy != "" {
		parts = append([]string{noProxy}, names...)
	}
	return strings.Join(parts, ",")
}
