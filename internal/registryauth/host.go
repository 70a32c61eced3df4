package registryauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
)

// HostConfig is the Docker config file of a host's user, with its credential
// helpers (credHelpers, credsStore). It is a Keychain.
type HostConfig struct {
	path string
	warn func(format string, args ...any)
	load func() (hostFile, error)
}

type hostFile struct {
	auths   *Config
	helpers *configfile.ConfigFile
}

// NewHostConfig returns the keychain of the Docker config file at path; the file
// is read when a credential is first asked for. A file that is not there has
// none. warn tells what goes wrong without being an error.
func NewHostConfig(path string, warn func(format string, args ...any)) *HostConfig {
	h := &HostConfig{path: path, warn: warn}
	h.load = sync.OnceValues(h.read)
	return h
}

// DefaultHostConfig returns where docker looks for the config of this user:
// DOCKER_CONFIG, else .docker in the home folder; "" without either.
func DefaultHostConfig() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}

func (h *HostConfig) read() (hostFile, error) {
	data, err := os.ReadFile(h.path)
	if h.path == "" || errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		return hostFile{}, fmt.Errorf("reading the host's Docker config: %w", err)
	}
	auths, err := ParseConfig(data, h.path)
	if err != nil {
		return hostFile{}, err
	}
	file := configfile.New(h.path)
	if len(bytes.TrimSpace(data)) > 0 {
		if err := file.LoadFromReader(bytes.NewReader(data)); err != nil {
			return hostFile{}, fmt.Errorf("reading %s: not a Docker config", h.path)
		}
	}
	return hostFile{auths, file}, nil
}

// Resolve implements Keychain: the entry of the file for the longest part of the
// repository's name, else what the credential helper for its registry says. A
// helper for this very registry that fails is an error; one for all registries
// (credsStore) may know nothing of it, and is warned of.
func (h *HostConfig) Resolve(ctx context.Context, repository reference.Named) (Credential, bool, error) {
	file, err := h.load()
	if err != nil {
		return Credential{}, false, err
	}
	if cred, found, err := file.auths.Resolve(ctx, repository); found || err != nil {
		return cred, found, err
	}
	key := fileKey(reference.Domain(repository))
	helper, forThis := file.helpers.CredentialHelpers[key]
	if helper == "" {
		helper, forThis = file.helpers.CredentialsStore, false
	}
	if helper == "" {
		return Credential{}, false, nil
	}
	source := fmt.Sprintf("docker-credential-%s (%s)", helper, h.path)
	auth, err := h.ask(ctx, file.helpers, key)
	switch {
	case err != nil && forThis:
		return Credential{}, false, fmt.Errorf("asking %s for %s: %w", source, reference.Domain(repository), err)
	case err != nil:
		h.warn("Asking %s for %s: %v", source, reference.Domain(repository), err)
		return Credential{}, false, nil
	case auth.Username == "" && auth.IdentityToken == "":
		return Credential{}, false, nil
	}
	return Credential{
		Username: auth.Username, Password: Secret(auth.Password), IdentityToken: Secret(auth.IdentityToken), Source: source,
	}, true, nil
}

// helperTimeout is how long a credential helper may take: it may wait for
// somebody who is not there.
const helperTimeout = 30 * time.Second

// ask runs a credential helper through Docker's library, which cannot stop it.
func (h *HostConfig) ask(ctx context.Context, helpers *configfile.ConfigFile, key string) (types.AuthConfig, error) {
	type answer struct {
		auth types.AuthConfig
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		auth, err := helpers.GetCredentialsStore(key).Get(key)
		answers <- answer{auth, err}
	}()
	timeout := time.NewTimer(helperTimeout)
	defer timeout.Stop()
	select {
	case a := <-answers:
		return a.auth, a.err
	case <-ctx.Done():
		return types.AuthConfig{}, ctx.Err()
	case <-timeout.C:
		return types.AuthConfig{}, fmt.Errorf("no answer in %s", helperTimeout)
	}
}
