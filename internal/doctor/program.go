package doctor

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// commands is the import path of this project's programs.
const commands = "github.com/gitlab-ecr-executor/gitlab-ecr-executor/cmd/"

// program is what a file is that GitLab Runner is to call.
type program struct {
	// stage is the stage that it does when it is one of ours, "" otherwise.
	stage   string
	version string
	// err says why GitLab Runner cannot call it.
	err error
}

// inspect tells what a program is. What it was built from stands in the file:
// only our own is run, for its version. A stranger's might do its work.
func inspect(ctx context.Context, name string) program {
	file, err := exec.LookPath(name)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return program{err: err}
	}
	p := program{stage: command(file)}
	if p.stage == "" {
		return p
	}
	out, err := exec.CommandContext(ctx, file, "--version").Output()
	if err != nil {
		p.err = fmt.Errorf("running it with --version: %w", err)
		return p
	}
	if words := strings.Fields(string(out)); len(words) > 1 && words[0] == version.Name {
		p.version = words[1]
	}
	return p
}

// command returns which of our commands a file is, "" when it is none.
func command(file string) string {
	info, err := buildinfo.ReadFile(file)
	if err != nil || !strings.HasPrefix(info.Path, commands) {
		return ""
	}
	return path.Base(info.Path)
}
