package stages

import (
	"io"
	"os"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// Config tells GitLab Runner where the job's folders are. It also plans the job,
// so that what is wrong with it or with the settings is said at once.
func (s Stage) Config(stdout io.Writer) error {
	if _, _, err := s.plan(); err != nil {
		return err
	}
	// The job log names the host; without a name it says only less.
	hostname, _ := os.Hostname()
	return gitlab.ConfigOutput{
		BuildsDir: plan.BuildsDir,
		CacheDir:  plan.CacheDir,
		Hostname:  hostname,
		Shell:     "bash",
		Driver:    gitlab.DriverInfo{Name: version.Name, Version: version.Version},
	}.Write(stdout)
}
