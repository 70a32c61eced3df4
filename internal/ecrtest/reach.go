package ecrtest

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
)

// Reach makes the registry reachable from containers as well, whose loopback is
// not this host's, and returns its host:port there: an address of Docker's
// bridge, else of another network of this host.
func (s *Server) Reach() (string, error) {
	ip, err := hostAddress()
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", fmt.Errorf("making the registry reachable: %w", err)
	}
	server := httptest.NewUnstartedServer(s.registry.Config.Handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	s.more = append(s.more, server)
	return strings.TrimPrefix(server.URL, "http://"), nil
}

// hostAddress returns an address of this host that containers reach.
func hostAddress() (string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("finding an address that containers reach: %w", err)
	}
	found := ""
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			prefix, ok := address.(*net.IPNet)
			if !ok || prefix.IP.To4() == nil || !prefix.IP.IsGlobalUnicast() {
				continue
			}
			// The address of Docker's bridge is taken by the daemon inside a
			// DinD sidecar, which has a bridge of its own: the last choice.
			if i.Name != "docker0" {
				return prefix.IP.String(), nil
			}
			found = prefix.IP.String()
		}
	}
	if found == "" {
		return "", errors.New("this host has no address that containers reach")
	}
	return found, nil
}

// Host returns the host:port of the registry.
func (s *Server) Host() string { return strings.TrimPrefix(s.registry.URL, "http://") }

// Env returns the environment with which a process takes this server for
// Amazon's.
func (s *Server) Env() []string {
	hosts := []string{s.Host() + "=" + Region}
	for _, server := range s.more {
		hosts = append(hosts, strings.TrimPrefix(server.URL, "http://")+"="+Region)
	}
	return []string{
		"AWS_ENDPOINT_URL_ECR=" + s.api.URL,
		"AWS_ENDPOINT_URL_ECR_PUBLIC=" + s.api.URL,
		"AWS_ENDPOINT_URL_STS=" + s.api.URL,
		"AWS_ACCESS_KEY_ID=" + AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"ECR_EXECUTOR_ECR_HOSTS=" + strings.Join(hosts, ","),
	}
}
