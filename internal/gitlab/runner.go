// Package gitlab is the contract with GitLab Runner's custom executor: the
// names of the environment variables, the job that arrives through them, what
// the config stage prints and the exit codes. It knows no Docker and no AWS.
//
// The facts come from GitLab Runner's sources (executors/custom,
// common/build.go, common/spec) and docs (docs/executors/custom.md).
package gitlab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Variables that GitLab Runner sets for the driver itself.
const (
	envBuildFailureExitCode  = "BUILD_FAILURE_EXIT_CODE"
	envSystemFailureExitCode = "SYSTEM_FAILURE_EXIT_CODE"
	envBuildExitCodeFile     = "BUILD_EXIT_CODE_FILE"
	envJobResponseFile       = "JOB_RESPONSE_FILE"

	// envJobPrefix comes before the name of every variable of the job.
	envJobPrefix = "CUSTOM_ENV_"
)

// The exit codes that GitLab Runner uses in every version so far; they serve
// when a driver is called by hand, without the variables.
const (
	defaultBuildFailureExitCode  = 1
	defaultSystemFailureExitCode = 2
)

// Environ is an environment by name; of a name that occurs twice the last
// value counts, as it does for a process.
type Environ map[string]string

// NewEnviron reads "NAME=value" entries as os.Environ returns them.
func NewEnviron(entries []string) Environ {
	environ := make(Environ, len(entries))
	for _, entry := range entries {
		if name, value, ok := strings.Cut(entry, "="); ok {
			environ[name] = value
		}
	}
	return environ
}

// ExitCodes are what GitLab Runner takes for a verdict.
type ExitCodes struct {
	// Build is final: the job failed by its own fault.
	Build int
	// System makes GitLab Runner try again while it still prepares the job.
	System int
	// file takes the exit code of the job's script; "" with runners before 17.9.
	file string
}

// ExitCodes returns the codes of this environment.
func (e Environ) ExitCodes() ExitCodes {
	return ExitCodes{
		Build:  e.exitCode(envBuildFailureExitCode, defaultBuildFailureExitCode),
		System: e.exitCode(envSystemFailureExitCode, defaultSystemFailureExitCode),
		file:   e[envBuildExitCodeFile],
	}
}

func (e Environ) exitCode(name string, fallback int) int {
	code, err := strconv.Atoi(e[name])
	if err != nil || code < 1 || code > 255 {
		return fallback
	}
	return code
}

// ReportsScript says whether GitLab Runner learns the exit code of a script; if
// not, every failure is a 1 to it.
func (c ExitCodes) ReportsScript() bool { return c.file != "" }

// SaveScriptExitCode hands the exit code of the job's script to GitLab Runner,
// which needs it for `allow_failure: exit_codes`. It does nothing with runners
// that do not offer the file. Nothing but the number may stand in the file.
func (c ExitCodes) SaveScriptExitCode(code int) error {
	if c.file == "" {
		return nil
	}
	if err := os.WriteFile(c.file, []byte(strconv.Itoa(code)), 0o600); err != nil {
		return fmt.Errorf("saving exit code %d for GitLab Runner: %w", code, err)
	}
	return nil
}
