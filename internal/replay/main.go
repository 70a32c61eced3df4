package replay

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// The exit codes of replay.
const (
	exitFailed = 1 // the job failed by its own fault, or was cancelled
	exitSystem = 2 // a system failure
	exitUsage  = 3 // the arguments or the job file are wrong
)

// Main is the program: it returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts := DefaultOptions()
	opts.Log = stdout
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "replay: run one job as GitLab Runner would, with the driver's own binaries\n\nusage: replay [flags] JOB.yml\n\n"+
			"JOB.yml is like .gitlab-ci.yml; replay knows %s.\nIt exits with 0 when the job succeeded, %d when it failed, %d on a system failure, %d on wrong arguments.\n\n",
			strings.Join(jobKeywords, ", "), exitFailed, exitSystem, exitUsage)
		flags.PrintDefaults()
	}
	name := flags.String("job", "", "`NAME` of the job, when the file has several")
	flags.StringVar(&opts.BinDir, "bin-dir", "", "`DIR` of config, prepare, run and cleanup (default: that of replay)")
	flags.StringVar(&opts.GitDir, "git", "", "git `DIR` whose HEAD the job gets as its sources (default: none)")
	flags.StringVar(&opts.EnvFile, "env-file", "", "`FILE` of settings, handed on to the driver")
	flags.StringVar(&opts.RunnerVersion, "runner-version", opts.RunnerVersion, "`VERSION` of GitLab Runner to play")
	flags.Int64Var(&opts.JobID, "job-id", opts.JobID, "id of the job")
	flags.Int64Var(&opts.ProjectID, "project-id", opts.ProjectID, "id of the project")
	flags.IntVar(&opts.ConcurrentID, "concurrent-id", 0, "slot of the job")
	flags.DurationVar(&opts.Timeout, "timeout", opts.Timeout, "timeout of the job")
	flags.DurationVar(&opts.GracefulKillTimeout, "graceful-kill-timeout", opts.GracefulKillTimeout, "time from TERM to KILL")
	flags.BoolVar(&opts.Debug, "debug", false, "show what goes to the runner's own log as well")
	timings := flags.Bool("timings", false, "print how long each stage took")
	showVersion := flags.Bool("version", false, "print the version and exit")
	variables, secrets := pairsFlag{}, pairsFlag{}
	flags.Var(variables, "variable", "`KEY=VALUE` over the job's own; may be repeated")
	flags.Var(secrets, "secret", "`KEY=VALUE` of a masked variable; may be repeated")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case *showVersion:
		fmt.Fprintln(stdout, version.String())
		return 0
	case flags.NArg() != 1:
		fmt.Fprintf(stderr, "replay takes one job file, got %d; see replay --help\n", flags.NArg())
		return exitUsage
	}
	if err := opts.load(flags.Arg(0), *name, variables); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	opts.Secrets = secrets

	result := Run(ctx, opts)
	if *timings {
		for _, stage := range result.Stages {
			fmt.Fprintf(stdout, "%-24s %6d ms  %3d MiB\n", stage.Name, stage.Duration.Milliseconds(), stage.MaxRSS>>20)
		}
	}
	var build *BuildError
	switch {
	case result.Err == nil:
		return 0
	case errors.As(result.Err, &build), errors.Is(result.Err, context.Canceled), errors.Is(result.Err, context.DeadlineExceeded):
		return exitFailed
	default:
		return exitSystem
	}
}

// load completes the options from the job file and the place of this program.
func (o *Options) load(file, name string, variables map[string]string) error {
	var err error
	if o.Job, err = ReadJob(file, name); err != nil {
		return err
	}
	if o.Job.Variables == nil {
		o.Job.Variables = map[string]string{}
	}
	for key, value := range variables {
		o.Job.Variables[key] = value
	}
	if o.BinDir == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding the driver's binaries: %w", err)
		}
		o.BinDir = filepath.Dir(self)
	}
	// The driver runs in a folder of its own.
	for _, path := range []*string{&o.BinDir, &o.EnvFile} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding the driver's files: %w", err)
		}
	}
	if o.Timeout < time.Second {
		return fmt.Errorf("--timeout %s: a job has at least a second", o.Timeout)
	}
	return nil
}

// pairsFlag collects KEY=VALUE arguments.
type pairsFlag map[string]string

// String implements flag.Value.
func (pairsFlag) String() string { return "" }

// Set implements flag.Value.
func (p pairsFlag) Set(arg string) error {
	key, value, ok := strings.Cut(arg, "=")
	if !ok || key == "" {
		return errors.New("want KEY=VALUE")
	}
	p[key] = value
	return nil
}
