// Package leftover removes what the driver keeps on purpose, for the next job
// of a project, after a test or a demo.
package leftover

import (
	"fmt"
	"os/exec"
	"strings"
)

// RemoveVolumes removes the sources and caches of a project.
func RemoveVolumes(projectID int64) error {
	out, err := exec.Command("docker", "volume", "ls", "--quiet", "--filter", fmt.Sprintf("label=gitlab-ecr-executor.project.id=%d", projectID)).Output()
	if err != nil {
		return fmt.Errorf("listing the volumes of project %d: %w", projectID, err)
	}
	volumes := strings.Fields(string(out))
	if len(volumes) == 0 {
		return nil
	}
	return docker(append([]string{"volume", "rm"}, volumes...)...)
}

// RemoveImage removes an image.
func RemoveImage(ref string) error { return docker("rmi", "--force", ref) }

func docker(args ...string) error {
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
