package ecrauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepExpired is how long a token's file stays after its token has expired.
const keepExpired = 24 * time.Hour

// prune removes the files of tokens that expired long ago, and what a killed
// process left. The time of a file is when its token expires (see replace), so
// none is opened. Files that are not of this cache stay.
func prune(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failures []error
	there := map[string]bool{} // a token's file comes before its lock
	for _, entry := range entries {
		name := entry.Name()
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process prunes
		}
		if err == nil && !expired(name, info, there, now) {
			there[name] = true
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, name))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, fmt.Errorf("removing an old token: %w", err))
		}
	}
	return errors.Join(failures...)
}

func expired(name string, info fs.FileInfo, there map[string]bool, now time.Time) bool {
	if !info.Mode().IsRegular() || info.ModTime().After(now.Add(-keepExpired)) {
		return false
	}
	switch {
	case strings.HasSuffix(name, ".json"), strings.HasSuffix(name, ".json.corrupt"), strings.HasSuffix(name, ".json"+failedSuffix), strings.HasPrefix(name, tempPrefix):
		return true
	case strings.HasSuffix(name, ".json.lock"):
		// Should somebody hold it just now, another process locks a new file: two
		// calls to AWS instead of one.
		return !there[strings.TrimSuffix(name, ".lock")]
	}
	return false
}
