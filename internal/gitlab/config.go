package gitlab

import (
	"encoding/json"
	"fmt"
	"io"
)

// ConfigOutput is what the config stage prints: one JSON object on stdout. A
// field left out keeps the value of config.toml.
type ConfigOutput struct {
	BuildsDir         string     `json:"builds_dir"`
	CacheDir          string     `json:"cache_dir"`
	BuildsDirIsShared bool       `json:"builds_dir_is_shared"`
	Hostname          string     `json:"hostname,omitempty"`
	Shell             string     `json:"shell"`
	Driver            DriverInfo `json:"driver"`
}

// DriverInfo is shown in the job log: "Using Custom executor with driver ...".
type DriverInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Write prints the object as GitLab Runner reads it.
func (c ConfigOutput) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(c); err != nil {
		return fmt.Errorf("printing the config stage's answer: %w", err)
	}
	return nil
}
