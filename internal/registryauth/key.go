package registryauth

import (
	"strings"

	"github.com/docker/cli/cli/config/credentials"
)

const (
	dockerHub = "docker.io"
	// dockerHubKey is the one key that every Docker client looks up for Docker
	// Hub.
	dockerHubKey = "https://index.docker.io/v1/"
)

// registryPath returns what the key of an auth entry stands for: a host, or a
// host and the beginning of a repository's path. A key with a scheme is of the
// old style and stands for its host, whatever its path, to Docker and to GitLab
// Runner alike.
func registryPath(key string) string {
	key = strings.TrimSpace(key)
	if strings.Contains(key, "://") {
		key = credentials.ConvertToHostname(key)
	}
	host, path, hasPath := strings.Cut(strings.TrimRight(key, "/"), "/")
	host = strings.ToLower(host)
	if host == "index."+dockerHub {
		host = dockerHub
	}
	if !hasPath {
		return host
	}
	return host + "/" + path
}

// fileKey returns the key under which the entry for key belongs in a file.
func fileKey(key string) string {
	if registryPath(key) == dockerHub {
		return dockerHubKey
	}
	return key
}
