package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// goodConfig is the config.toml of README.md.
const goodConfig = `concurrent = 4
[[runners]]
  name = "docker"
  executor = "docker"
  [runners.docker]
    image = "alpine"
[[runners]]
  name = "strange"
  executor = "custom"
  [runners.custom]
    run_exec = "/opt/other/run"
[[runners]]
  name = "ecr"
  executor = "custom"
  [runners.custom]
    config_exec = "/usr/local/lib/gitlab-ecr-executor/config"
    prepare_exec = "/usr/local/lib/gitlab-ecr-executor/prepare"
    prepare_exec_timeout = 1800
    run_exec = "/usr/local/lib/gitlab-ecr-executor/run"
    cleanup_exec = "/usr/local/lib/gitlab-ecr-executor/cleanup"
    cleanup_exec_timeout = 300
    graceful_kill_timeout = 60
    force_kill_timeout = 60
`

// installed is a folder with all four programs.
func installed(_ context.Context, path string) program {
	return program{stage: filepath.Base(path), version: version.Version}
}

// but is installed with another file at one path.
func but(path string, other program) func(context.Context, string) program {
	return func(ctx context.Context, asked string) program {
		if filepath.Base(asked) == path {
			return other
		}
		return installed(ctx, asked)
	}
}

func TestRunnerConfig(t *testing.T) {
	envFile := func(stages ...string) func(string) string {
		return func(config string) string {
			for _, stage := range stages {
				config += "    " + stage + "_args = [\"--env-file\", \"/etc/ecr.env\"]\n"
			}
			return config
		}
	}
	replace := func(from, to string) func(string) string {
		return func(config string) string { return strings.ReplaceAll(config, from, to) }
	}
	tests := map[string]struct {
		config         func(string) string
		inspect        func(context.Context, string) program
		arrange        func(s *subject)
		check          string
		status         Status
		detail, remedy string
	}{
		"good":           {check: "runner ecr", status: OK, detail: "all four stages"},
		"no name":        {config: replace(`name = "ecr"`, ""), check: "runner number 3", status: OK},
		"a stage unset":  {config: replace("run_exec =", "# run_exec ="), check: "runner ecr", status: Fail, detail: "run_exec is not set", remedy: "set run_exec"},
		"a file missing": {inspect: but("cleanup", program{err: errors.New("no such file")}), check: "runner ecr", status: Fail, detail: "cleanup_exec = /usr/local/lib/gitlab-ecr-executor/cleanup: no such file", remedy: "put the driver's cleanup there"},
		"a stranger":     {inspect: but("run", program{}), check: "runner ecr", status: Fail, detail: "is not this driver's", remedy: "all four"},
		"swapped":        {inspect: but("run", program{stage: "prepare"}), check: "runner ecr", status: Fail, detail: "is the driver's prepare", remedy: "set run_exec to run"},
		"old":            {inspect: but("run", program{stage: "run", version: "v0.0"}), check: "runner ecr", status: Fail, detail: "has version v0.0", remedy: "one version"},
		"no timeouts":    {config: replace("_timeout", "_nothing"), check: "runner ecr", status: Note, detail: "not set: prepare_exec_timeout, cleanup_exec_timeout, graceful_kill_timeout, force_kill_timeout", remedy: "README.md"},
		"another environment": {
			config: envFile("config", "prepare", "run", "cleanup"), check: "runner ecr", status: Note,
			detail: `read --env-file "/etc/ecr.env", this run ""`, remedy: "doctor --env-file /etc/ecr.env",
		},
		"same environment": {
			config: envFile("config", "prepare", "run", "cleanup"), arrange: func(s *subject) { s.opts.EnvFile = "/etc/ecr.env" },
			check: "runner ecr", status: OK,
		},
		"environments differ": {config: envFile("config", "run"), check: "runner ecr", status: Note, detail: `prepare_args ""`, remedy: "all four"},
		"not TOML":            {config: func(string) string { return "[[runners" }, check: "config.toml", status: Fail, detail: "config.toml", remedy: "mend"},
		"none of ours":        {config: func(string) string { return "concurrent = 1" }, check: "config.toml", status: Note, detail: "has no runner", remedy: "README.md"},
		"not there":           {arrange: func(s *subject) { s.opts.Config += "x" }, check: "config.toml", status: Note, detail: "not checked", remedy: "--config"},
		"not there, but given": {
			arrange: func(s *subject) { s.opts.Config += "x"; s.opts.ConfigGiven = true },
			check:   "config.toml", status: Fail, detail: "no such file", remedy: "--config",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t)
			s.machine.inspect = installed
			if tt.inspect != nil {
				s.machine.inspect = tt.inspect
			}
			config := goodConfig
			if tt.config != nil {
				config = tt.config(config)
			}
			write0600(t, s.opts.Config, config)
			if tt.arrange != nil {
				tt.arrange(s)
			}
			results := s.all(t)
			if _, ok := results["runner strange"]; ok {
				t.Error("another driver's runner was checked")
			}
			expect(t, results[tt.check], tt.status, tt.detail, tt.remedy)
		})
	}
}

// Another's program is never run: it might do its work.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	mark, script := filepath.Join(dir, "mark"), filepath.Join(dir, "cleanup")
	write0600(t, script, "#!/bin/sh\ntouch "+mark+"\n")
	if p := inspect(t.Context(), script); p.err == nil {
		t.Error("a file without the x bit can be called")
	}
	mode(t, script, 0o700)
	if p := inspect(t.Context(), script); p != (program{}) || exists(mark) {
		t.Errorf("%+v, run: %t", p, exists(mark))
	}
	if p := inspect(t.Context(), filepath.Join(dir, "none")); !errors.Is(p.err, os.ErrNotExist) {
		t.Errorf("%+v", p)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if p := inspect(t.Context(), self); p != (program{}) {
		t.Errorf("a Go program that is none of ours: %+v", p)
	}
}
