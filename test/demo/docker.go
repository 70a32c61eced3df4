package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// docker runs the Docker CLI.
func docker(args ...string) error {
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// removeVolumes removes what the driver keeps for the next job of the project.
func removeVolumes(projectID int64) error {
	out, err := exec.Command("docker", "volume", "ls", "--quiet", "--filter", fmt.Sprintf("label=gitlab-ecr-executor.project.id=%d", projectID)).Output()
	if err != nil {
		return fmt.Errorf("listing the demo's volumes: %w", err)
	}
	volumes := strings.Fields(string(out))
	if len(volumes) == 0 {
		return nil
	}
	return docker(append([]string{"volume", "rm"}, volumes...)...)
}

func absolute(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", dir, err)
	}
	return path, nil
}
