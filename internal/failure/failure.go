// Package failure classifies an error once, where it arises: whose fault it is
// decides the exit code and with it whether GitLab Runner tries again. An error
// that nobody classified is a system failure.
package failure

import (
	"errors"
	"fmt"
)

// classified is an error with a verdict and a remedy.
type classified struct {
	err    error
	build  bool
	remedy string
}

func (c *classified) Error() string { return c.err.Error() }
func (c *classified) Unwrap() error { return c.err }

// Build marks err as the job author's to mend: the job fails at once, a retry
// would change nothing. remedy says what to do next; it may be empty.
func Build(err error, remedy string) error {
	return &classified{err: err, build: true, remedy: remedy}
}

// System marks err as the runner's, the engine's or AWS's: GitLab Runner
// retries. remedy says what to do next; it may be empty.
func System(err error, remedy string) error {
	return &classified{err: err, remedy: remedy}
}

// IsBuild reports whether err is a build failure. The outermost verdict counts;
// an error without one is a system failure.
func IsBuild(err error) bool {
	if _, ok := ScriptExitCode(err); ok {
		return true
	}
	var c *classified
	return errors.As(err, &c) && c.build
}

// Remedy returns what the outermost verdict on err says to do next, or "".
func Remedy(err error) string {
	var c *classified
	if errors.As(err, &c) {
		return c.remedy
	}
	return ""
}

// scriptExit is the exit code of the job's own script.
type scriptExit int

func (s scriptExit) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// Script returns the build failure of a script that ended with code (not 0).
func Script(code int) error { return scriptExit(code) }

// ScriptExitCode returns the exit code of the job's script when that is what
// err is about.
func ScriptExitCode(err error) (int, bool) {
	var s scriptExit
	if errors.As(err, &s) {
		return int(s), true
	}
	return 0, false
}
