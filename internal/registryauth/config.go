package registryauth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/types"
)

// Config is the registry auths of a Docker config file. It is a Keychain.
type Config struct {
	auths map[string]Credential // by registryPath
}

// ParseConfig reads the auths of a Docker config file, such as GitLab's
// DOCKER_AUTH_CONFIG; everything else in it is ignored, an empty file has none.
// source is what messages and credentials call the file. Errors name it and the
// registry, never a value: whose fault they are depends on who gave the file.
func ParseConfig(data []byte, source string) (*Config, error) {
	file, err := decodeObject(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", source, err)
	}
	entries, _, err := decodeAuths(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", source, err)
	}
	auths := map[string]Credential{}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		path := registryPath(key)
		if path == "" || strings.Contains(path, "@") {
			continue // user:password@host is no registry's name, and not for the log
		}
		auth, err := decodeEntry(entries[key])
		if err != nil {
			return nil, fmt.Errorf("reading %s: the entry for %s: %w", source, path, err)
		}
		// Docker leaves an empty entry for a login that is kept elsewhere.
		if auth == (types.AuthConfig{}) {
			continue
		}
		// Of two keys for the same, Docker prefers the one that it writes itself.
		if _, taken := auths[path]; taken && key != fileKey(path) {
			continue
		}
		auths[path] = Credential{
			Username:      auth.Username,
			Password:      Secret(auth.Password),
			IdentityToken: Secret(auth.IdentityToken),
			RegistryToken: Secret(auth.RegistryToken),
			Source:        source,
		}
	}
	return &Config{auths: auths}, nil
}

// NewConfig returns a keychain of one credential for each host[:port][/path].
func NewConfig(auths map[string]Credential) *Config {
	byPath := make(map[string]Credential, len(auths))
	for key, cred := range auths {
		byPath[registryPath(key)] = cred
	}
	return &Config{auths: byPath}
}

// Resolve implements Keychain: of the entries for the repository's host and for
// the beginning of its path, the longest wins. It never fails.
func (c *Config) Resolve(_ context.Context, repository reference.Named) (Credential, bool, error) {
	path := strings.ToLower(reference.Domain(repository)) + "/" + reference.Path(repository)
	for {
		if cred, found := c.auths[path]; found {
			return cred, true, nil
		}
		end := strings.LastIndex(path, "/")
		if end < 0 {
			return Credential{}, false, nil
		}
		path = path[:end]
	}
}

// Auths returns a copy of the credentials, by host[:port][/path]; Docker Hub is
// docker.io.
func (c *Config) Auths() map[string]Credential { return maps.Clone(c.auths) }
