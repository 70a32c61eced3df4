// Package driver is what the four stage binaries have in common: arguments,
// settings, log, signals and exit codes.
package driver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/owner"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// Command is one stage binary.
type Command struct {
	Name    string
	Summary string
	// Args names the arguments that GitLab Runner adds.
	Args []string
	// Cleanup marks the last stage. Of it, GitLab Runner takes stdout for debug
	// messages and stderr for warnings; it goes on when gitlab-runner is gone, and
	// with settings that are broken.
	Cleanup bool
	// Run does the stage's work. args has the length of Args.
	Run func(ctx context.Context, stage stages.Stage, args []string) error
}

// Main runs the command and exits with a code that GitLab Runner understands,
// whatever happens.
func (c Command) Main() {
	codes := gitlab.NewEnviron(os.Environ()).ExitCodes()
	os.Exit(c.main(os.Args[1:], os.Stdout, os.Stderr, codes))
}

func (c Command) main(args []string, stdout, stderr io.Writer, codes gitlab.ExitCodes) (code int) {
	signal.Ignore(syscall.SIGPIPE) // a runner that is gone must not end what is to be done
	log := newLog(stdout, stderr, c.Cleanup)
	defer func() {
		if caught := recover(); caught != nil {
			log.Debugf("%s", debug.Stack())
			log.Errorf("%s: a defect of this program: %v", c.Name, caught)
			log.Error("next: report it with this line; ECR_EXECUTOR_LOG_LEVEL=debug shows where it happened")
			code = codes.System
		}
	}()

	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { c.usage(flags) }
	envFile := flags.String("env-file", "", "read settings from `FILE` (NAME=value lines), over the environment")
	showVersion := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return codes.System
	case *showVersion:
		fmt.Fprintln(stdout, version.String())
		return 0
	}

	err := c.run(log, flags.Args(), *envFile)
	if err == nil {
		return 0
	}
	if script, ok := failure.ScriptExitCode(err); ok {
		// The script has said what went wrong; GitLab Runner shows the code.
		if !codes.ReportsScript() && script != 1 {
			log.Warnf("The script ended with exit code %d; GitLab Runner before 17.9 takes it for 1", script)
		}
		if err := codes.SaveScriptExitCode(script); err != nil {
			log.Error(err)
			return codes.System
		}
		return codes.Build
	}
	log.Error(err)
	if next := failure.Remedy(err); next != "" {
		log.Errorf("next: %s", next)
	}
	if failure.IsBuild(err) {
		return codes.Build
	}
	return codes.System
}

func (c Command) run(log *stageLog, args []string, envFile string) error {
	if len(args) != len(c.Args) {
		return failure.System(fmt.Errorf("%s takes %d arguments %v, got %d", c.Name, len(c.Args), c.Args, len(args)),
			"this program is called by GitLab Runner (executor = \"custom\"); own flags stand in "+c.Name+"_args")
	}
	if envFile != "" {
		if err := settings.LoadFile(envFile); err != nil {
			return err
		}
	}
	s, err := settings.Load()
	if err != nil && !c.Cleanup {
		return err
	}
	if err != nil {
		// What a job has left must go, also when the operator is just changing
		// the settings.
		log.Warnf("%v; cleaning up without them", err)
		s = settings.Settings{LogLevel: settings.LogLevel(logrus.InfoLevel)}
	}
	log.configure(s)

	// GitLab Runner sends TERM on timeout and cancel; INT is for trying by hand.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	runner := owner.Runner()
	if !c.Cleanup {
		// A runner that was killed sends nothing: its driver notices, also when it
		// writes to the runner's closed pipe, and ends what it does. Cleanup goes
		// on to its end.
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go watchRunner(ctx, os.Getppid(), runner, cancel)
	}
	return c.Run(ctx, stages.Stage{
		Environ: gitlab.NewEnviron(os.Environ()), Settings: s, Log: log, Owner: runner, Stdout: os.Stdout, Stderr: os.Stderr,
	}, args)
}

func (c Command) usage(flags *flag.FlagSet) {
	out := flags.Output()
	fmt.Fprintf(out, "%s: %s\n\nusage: %s [flags]", c.Name, c.Summary, c.Name)
	for _, arg := range c.Args {
		fmt.Fprintf(out, " %s", arg)
	}
	fmt.Fprintf(out, "\n\nCalled by GitLab Runner (executor = \"custom\"). Settings are ECR_EXECUTOR_* variables: see docs/configuration.md.\n\n")
	flags.PrintDefaults()
}

// watchRunner ends ctx when the process that called this one is gone, or
// gitlab-runner behind a script that called it.
func watchRunner(ctx context.Context, parent int, runner string, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent || owner.Gone(runner) {
				cancel(stages.ErrRunnerGone)
				return
			}
		}
	}
}
