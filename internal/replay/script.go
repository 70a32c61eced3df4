package replay

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
)

// scriptWriter writes a script as GitLab Runner does: everything is one word
// that the shell evaluates, so that no command of the job reads the rest of the
// script from stdin (gitlab-runner shells/bash.go).
type scriptWriter struct{ body strings.Builder }

func (w *scriptWriter) line(format string, args ...any) {
	fmt.Fprintf(&w.body, format+"\n", args...)
}

// exports sets every variable of the job, as each script does.
func (w *scriptWriter) exports(vars []variable, tempDir string) {
	for _, v := range vars {
		if v.File {
			w.line("mkdir -p %s", quote(tempDir))
			w.line("printf %%s %s > %s", quote(v.Value), quote(tempDir+"/"+v.Key))
			w.line("export %s=%s", v.Key, quote(tempDir+"/"+v.Key))
			continue
		}
		w.line("export %s=%s", v.Key, quote(v.Value))
	}
}

// command shows a command of the job and runs it.
func (w *scriptWriter) command(command string) {
	shown := "$ " + command
	if first, _, multiline := strings.Cut(strings.TrimSpace(command), "\n"); multiline {
		shown = "$ " + first + " # collapsed multi-line command"
	}
	w.line("echo %s", quote("\x1b[32;1m"+shown+"\x1b[0;m"))
	w.line("%s", command)
}

func (w *scriptWriter) finish() string {
	return "#!/usr/bin/env bash\n\ntrap 'exit 1' TERM\n\n" +
		`case "$(set -o)" in *"pipefail"*) set -o pipefail;; esac; set -o errexit` + "\nset +o noclobber\n" +
		"(trap 'exit 1' TERM; eval " + quote(w.body.String()) + ") < /dev/null\nexit 0\n"
}

// quote makes one shell word of any text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func prepareScript(hostname string) string {
	var w scriptWriter
	w.line(`echo "Running on $(hostname) via "%s...`, quote(hostname))
	return w.finish()
}

func userScript(vars []variable, projectDir string, commands []string) string {
	var w scriptWriter
	w.exports(vars, projectDir+".tmp")
	w.line("cd %s", quote(projectDir))
	for _, command := range commands {
		w.command(command)
	}
	return w.finish()
}

// sourcesScript checks out HEAD of a git folder. The sources travel in the
// script itself, so that no server is needed and the engine may be anywhere.
func sourcesScript(vars []variable, projectDir, gitDir string) (string, error) {
	var w scriptWriter
	w.exports(vars, projectDir+".tmp")
	w.line("mkdir -p %s", quote(projectDir))
	if gitDir == "" {
		w.line("echo 'Skipping Git repository setup'")
		return w.finish(), nil
	}
	bundle, err := git(gitDir, "bundle", "create", "-", "HEAD")
	if err != nil {
		return "", err
	}
	w.line("cd %s", quote(projectDir))
	w.line("echo 'Fetching changes...'")
	w.line("git init --quiet .")
	w.line("base64 -d > ../replay.bundle <<'BUNDLE'\n%s\nBUNDLE", base64.StdEncoding.EncodeToString(bundle))
	w.line("git fetch --quiet --force ../replay.bundle HEAD")
	w.line("git checkout --quiet --force --detach FETCH_HEAD")
	w.line("git clean -ffdxq")
	w.line("rm ../replay.bundle")
	w.line(`echo "Checking out $(git rev-parse --short HEAD) as detached HEAD..."`)
	return w.finish(), nil
}

func cleanupScript(vars []variable, projectDir string) string {
	var w scriptWriter
	for _, v := range vars {
		if v.File {
			w.line("rm -f %s", quote(projectDir+".tmp/"+v.Key))
		}
	}
	w.line(":")
	return w.finish()
}

func git(dir string, args ...string) ([]byte, error) {
	command := exec.Command("git", append([]string{"-C", dir}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
