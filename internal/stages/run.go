package stages

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// ScriptRunner is what run needs of the engine. Both methods of its own return
// nil or failure.Script when the script has ended, and stop it when ctx ends.
type ScriptRunner interface {
	FileEngine
	Remover
	// RunInContainer starts the container, whose command reads the script.
	RunInContainer(ctx context.Context, c plan.Container, script []byte, stdout, stderr io.Writer) error
	// DaemonEnd says how a sidecar ended, "" while it runs.
	DaemonEnd(ctx context.Context, s plan.Service) string
	// Exec runs command, which reads the script, in the running container.
	Exec(ctx context.Context, c plan.Container, command []string, script []byte, stdout, stderr io.Writer) error
}

// Run runs the script that GitLab Runner wrote for stage.
func (s Stage) Run(ctx context.Context, engine ScriptRunner, scriptFile, stage string) (err error) {
	job, p, err := s.plan()
	if err != nil {
		return err
	}
	script, err := os.ReadFile(scriptFile)
	if err != nil {
		return failure.System(fmt.Errorf("reading the script of stage %s: %w", stage, err),
			"check that nothing empties the runner's temporary folder while jobs run")
	}
	defer func() { s.cleanUpIfAbandoned(ctx, engine, p.Key, err) }()
	switch {
	case !isUserStage(stage):
		return engine.Exec(ctx, p.Helper, plan.HelperCommand(runnerBinary()), script, s.Stdout, s.Stderr)
	case p.Client == nil:
		return engine.RunInContainer(ctx, p.Build, script, s.Stdout, s.Stderr)
	default:
		return s.runWithClient(ctx, engine, job, p, script)
	}
}

// runWithClient runs a script that may talk to registries.
func (s Stage) runWithClient(ctx context.Context, engine ScriptRunner, job gitlab.Job, p plan.Plan, script []byte) error {
	renewCtx, stop := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() {
		keep := func() (none, error) { s.keepConfigFresh(renewCtx, engine, job, p); return none{}, nil }
		if _, err := caught(keep); err != nil {
			s.Log.Warnf("The registry credentials of the job are not renewed: %v", err)
		}
	})
	var watch clientWatch
	err := engine.RunInContainer(ctx, p.Build, script, watch.through(s.Stdout), watch.through(s.Stderr))
	stop()
	renewal.Wait()
	if err == nil {
		return nil
	}
	if hint := watch.Hint(); hint != "" {
		s.Log.Warn(hint)
	}
	if daemon := p.Docker(); daemon != nil && watch.DaemonLost() && ctx.Err() == nil {
		if end := engine.DaemonEnd(ctx, *daemon); end != "" {
			s.Log.Warnf("The Docker daemon of the job has ended: %s", end)
		}
	}
	return err
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
	path = strings.TrimSuffix(path, " (deleted)") // replaced by a newer one meanwhile
	if err != nil || filepath.Base(path) != "gitlab-runner" {
		return ""
	}
	return path
}
