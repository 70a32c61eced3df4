package stages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// ScriptRunner is what run needs of the engine. Both methods return nil or
// failure.Script when the script has ended, and stop it when ctx ends.
type ScriptRunner interface {
	// RunInContainer starts the container, whose command reads the script.
	RunInContainer(ctx context.Context, c plan.Container, script []byte) error
	// Exec runs command, which reads the script, in the running container.
	Exec(ctx context.Context, c plan.Container, command []string, script []byte) error
}

// Run runs the script that GitLab Runner wrote for stage.
func (s Stage) Run(ctx context.Context, engine ScriptRunner, scriptFile, stage string) error {
	p, err := s.plan()
	if err != nil {
		return err
	}
	script, err := os.ReadFile(scriptFile)
	if err != nil {
		return failure.System(fmt.Errorf("reading the script of stage %s: %w", stage, err),
			"check that nothing empties the runner's temporary folder while jobs run")
	}
	if isUserStage(stage) {
		return engine.RunInContainer(ctx, p.Build, script)
	}
	return engine.Exec(ctx, p.Helper, plan.HelperCommand(runnerBinary()), script)
}

// isUserStage tells the scripts of the job's author, which run in the job's
// image, from those of GitLab Runner. A stage that is not known is one of
// GitLab Runner's: those need git and the runner's commands.
func isUserStage(stage string) bool {
	return stage == "build_script" || stage == "after_script" || strings.HasPrefix(stage, "step_")
}

// runnerBinary returns the path of the gitlab-runner process that called us,
// which some of its versions write into the scripts; "" when that is not to be
// found out.
func runnerBinary() string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err != nil || filepath.Base(path) != "gitlab-runner" {
		return ""
	}
	return path
}
