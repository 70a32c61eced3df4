package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what to replay and how.
type Options struct {
	Job     Job
	BinDir  string            // where config, prepare, run and cleanup are
	GitDir  string            // the sources: HEAD of this git folder; "" for none
	Secrets map[string]string // masked variables
	EnvFile string            // handed to the driver as --env-file
	Env     []string          // of the driver; nil: the environment of this process

	JobID, ProjectID    int64
	ConcurrentID        int
	RunnerVersion       string
	Timeout             time.Duration // of the job
	GracefulKillTimeout time.Duration // from TERM to KILL
	RetryInterval       time.Duration // between tries to prepare

	Log   io.Writer // the job log
	Debug bool      // show what goes to the runner's own log as well
	// OnStage is called before each process of the driver.
	OnStage func(name string)
}

// DefaultOptions are GitLab Runner's own values.
func DefaultOptions() Options {
	return Options{
		JobID: 1, ProjectID: 1, RunnerVersion: "19.3.0", Timeout: time.Hour,
		GracefulKillTimeout: 10 * time.Minute, RetryInterval: 3 * time.Second, Log: os.Stdout,
	}
}

// Result is how the job ended.
type Result struct {
	// Err is nil when the job succeeded, *BuildError when it failed by its own
	// fault, a context error when it was cancelled or timed out, and anything
	// else for a system failure.
	Err    error
	Stages []StageResult
}

type run struct {
	opts      Options
	result    Result
	tempDir   string
	buildsDir string
	hostname  string
	sha       string
	status    string
	jobEnv    map[string]string
	log       *masker
}

const (
	cyan    = "\x1b[36;1m"
	green   = "\x1b[32;1m"
	boldRed = "\x1b[31;1m"
	yellow  = "\x1b[0;33m"
	reset   = "\x1b[0;m"
)

// preparationTries and afterScriptTimeout are GitLab Runner's.
const (
	preparationTries   = 3
	afterScriptTimeout = 5 * time.Minute
)

// Run replays a job. ctx cancels it as a user would in GitLab.
func Run(ctx context.Context, opts Options) Result {
	r := &run{opts: opts, status: "running"}
	secrets := []string{jobToken}
	for _, value := range opts.Secrets {
		secrets = append(secrets, value)
	}
	r.log = newMasker(opts.Log, secrets)
	r.result.Err = r.job(ctx)
	r.print("%s", verdict(r.result.Err))
	r.log.flush()
	return r.result
}

func verdict(err error) string {
	var build *BuildError
	switch {
	case err == nil:
		return green + "Job succeeded" + reset
	case errors.As(err, &build):
		return boldRed + "ERROR: Job failed: " + err.Error() + reset
	case errors.Is(err, context.DeadlineExceeded):
		return boldRed + "ERROR: Job failed: execution took longer than its timeout" + reset
	case errors.Is(err, context.Canceled):
		return boldRed + "ERROR: Job failed: canceled" + reset
	default:
		return boldRed + "ERROR: Job failed (system failure): " + err.Error() + reset
	}
}

func (r *run) print(format string, args ...any) { fmt.Fprintf(r.log, format+"\n", args...) }

func (r *run) section(title string) { r.print("%s%s%s", cyan, title, reset) }

func (r *run) job(ctx context.Context) error {
	if r.opts.GitDir != "" {
		sha, err := git(r.opts.GitDir, "rev-parse", "HEAD")
		if err != nil {
			return err
		}
		r.sha = strings.TrimSpace(string(sha))
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	r.print("Running with replay, in the place of gitlab-runner %s", r.opts.RunnerVersion)
	r.section(`Preparing the "custom" executor`)
	if err := r.prepareWithRetries(ctx); err != nil {
		return err
	}
	err := r.scripts(ctx)
	return errors.Join(err, r.cleanup())
}

func (r *run) prepareWithRetries(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.prepare(ctx)
		if err == nil {
			return nil
		}
		cleanupErr := r.cleanup()
		var build *BuildError
		if errors.As(err, &build) || ctx.Err() != nil || try == preparationTries {
			return errors.Join(err, cleanupErr)
		}
		r.print("%sERROR: Preparation failed: %v%s", boldRed, err, reset)
		r.print("Will be retried in %s ...", r.opts.RetryInterval)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.opts.RetryInterval):
		}
	}
}

func (r *run) prepare(ctx context.Context) (err error) {
	r.buildsDir, r.jobEnv = "", nil
	if r.tempDir, err = os.MkdirTemp("", "custom-executor"); err != nil {
		return fmt.Errorf("making the job's temporary folder: %w", err)
	}
	if err := r.writeResponse(filepath.Join(r.tempDir, "response.json")); err != nil {
		return err
	}
	var answer bytes.Buffer
	if err := r.stage(ctx, "config", "config", nil, &answer, r.log); err != nil {
		return err
	}
	var config struct {
		BuildsDir string `json:"builds_dir"`
		CacheDir  string `json:"cache_dir"`
		Hostname  string `json:"hostname"`
		Driver    struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"driver"`
		JobEnv map[string]string `json:"job_env"`
	}
	if err := json.Unmarshal(answer.Bytes(), &config); err != nil {
		return fmt.Errorf("error while parsing JSON output: %w", err)
	}
	if config.BuildsDir == "" || config.CacheDir == "" {
		return errors.New("the driver's config names no builds_dir or no cache_dir")
	}
	r.buildsDir, r.hostname, r.jobEnv = config.BuildsDir, config.Hostname, config.JobEnv
	r.print("Using Custom executor with driver %s %s...", config.Driver.Name, config.Driver.Version)
	return r.stage(ctx, "prepare", "prepare", nil, r.log, r.log)
}

func (r *run) stage(ctx context.Context, name, binary string, args []string, stdout, stderr io.Writer) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.opts.OnStage != nil {
		r.opts.OnStage(name)
	}
	return r.call(ctx, name, binary, args, stdout, stderr)
}

// scripts runs the stages of the job's scripts in GitLab Runner's order
// (gitlab-runner common/build.go, executeScript). Stages without anything to do
// are left out, as FF_SKIP_NOOP_BUILD_STAGES does.
func (r *run) scripts(ctx context.Context) error {
	job := r.opts.Job
	r.section("Preparing environment")
	if err := r.script(ctx, "prepare_script", prepareScript(r.hostname)); err != nil {
		return fmt.Errorf("prepare environment: %w", err)
	}
	sources, err := sourcesScript(r.variables(), r.projectDir(), r.opts.GitDir)
	if err != nil {
		return err
	}
	r.section("Getting source from Git repository")
	err = r.script(ctx, "get_sources", sources)
	if err == nil {
		r.section(`Executing "step_script" stage of the job script`)
		commands := append(slices.Clone(job.BeforeScript), job.Script...)
		err = r.script(ctx, "build_script", userScript(r.variables(), r.projectDir(), commands))
		r.status = status(err)
		if len(job.AfterScript) > 0 && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			r.section("Running after_script")
			// It runs also after the job was cancelled.
			afterCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterScriptTimeout)
			defer cancel()
			if err := r.script(afterCtx, "after_script", userScript(r.variables(), r.projectDir(), job.AfterScript)); err != nil {
				r.print("%sWARNING: after_script failed, but job will continue unaffected: %v%s", yellow, err, reset)
			}
		}
	}
	r.section("Cleaning up project directory and file based variables")
	if cleanErr := r.script(context.WithoutCancel(ctx), "cleanup_file_variables", cleanupScript(r.variables(), r.projectDir())); cleanErr != nil && r.opts.Debug {
		r.print("cleanup_file_variables: %v", cleanErr)
	}
	return err
}

func status(err error) string {
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timedout"
	default:
		return "failed"
	}
}

func (r *run) script(ctx context.Context, stage, script string) error {
	dir, err := os.MkdirTemp(r.tempDir, "script")
	if err != nil {
		return fmt.Errorf("writing the script of %s: %w", stage, err)
	}
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		return fmt.Errorf("writing the script of %s: %w", stage, err)
	}
	return r.stage(ctx, stage, "run", []string{file, stage}, r.log, r.log)
}

// cleanup runs however the job ended. What the driver says goes to the runner's
// own log; its result does not change the job's.
func (r *run) cleanup() error {
	stdout := io.Discard
	if r.opts.Debug {
		stdout = r.log
	}
	if err := r.stage(context.Background(), "cleanup", "cleanup", nil, stdout, r.log); err != nil {
		r.print("%sWARNING: Cleanup script failed: %v%s", yellow, err, reset)
	}
	if err := os.RemoveAll(r.tempDir); err != nil {
		return fmt.Errorf("removing the job's temporary folder: %w", err)
	}
	return nil
}
