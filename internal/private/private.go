// Package private remembers which repositories were pulled with credentials that
// a job brought: their images are on the engine for that job, not for every one.
package private

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Repositories is a folder with a file for each repository, shared by all jobs
// of a host.
type Repositories struct{ dir string }

// In returns the repositories remembered in a state folder; with "" none are.
func In(stateDir string) Repositories {
	if stateDir == "" {
		return Repositories{}
	}
	return Repositories{filepath.Join(stateDir, "private")}
}

// Note remembers a repository, such as registry.example/group/app.
func (r Repositories) Note(repository string) error {
	if r.dir == "" {
		return errors.New("remembering a private repository: no state folder")
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("remembering a private repository: %w", err)
	}
	if err := os.WriteFile(r.file(repository), []byte(repository+"\n"), 0o600); err != nil {
		return fmt.Errorf("remembering a private repository: %w", err)
	}
	return nil
}

// Has reports whether a repository is remembered.
func (r Repositories) Has(repository string) (bool, error) {
	if r.dir == "" {
		return false, nil
	}
	_, err := os.Stat(r.file(repository))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for a private repository: %w", err)
	}
	return true, nil
}

func (r Repositories) file(repository string) string {
	sum := sha256.Sum256([]byte(repository))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:]))
}
