package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// runnerConfig is what matters here of a runner in config.toml
// (https://docs.gitlab.com/runner/configuration/advanced-configuration).
type runnerConfig struct {
	Name     string `toml:"name"`
	Executor string `toml:"executor"`
	Custom   struct {
		ConfigExec      string   `toml:"config_exec"`
		ConfigArgs      []string `toml:"config_args"`
		PrepareExec     string   `toml:"prepare_exec"`
		PrepareArgs     []string `toml:"prepare_args"`
		PrepareTimeout  *int     `toml:"prepare_exec_timeout"`
		RunExec         string   `toml:"run_exec"`
		RunArgs         []string `toml:"run_args"`
		CleanupExec     string   `toml:"cleanup_exec"`
		CleanupArgs     []string `toml:"cleanup_args"`
		CleanupTimeout  *int     `toml:"cleanup_exec_timeout"`
		GracefulTimeout *int     `toml:"graceful_kill_timeout"`
		ForceTimeout    *int     `toml:"force_kill_timeout"`
	} `toml:"custom"`
}

// stage is a program that GitLab Runner calls.
type stage struct {
	name, exec string
	args       []string
}

func (r runnerConfig) stages() []stage {
	c := r.Custom
	return []stage{
		{"config", c.ConfigExec, c.ConfigArgs},
		{"prepare", c.PrepareExec, c.PrepareArgs},
		{"run", c.RunExec, c.RunArgs},
		{"cleanup", c.CleanupExec, c.CleanupArgs},
	}
}

// runnerChecks returns a check for each runner of config.toml that uses this
// driver, or one that says why there is none.
func (d *doctor) runnerChecks() []check {
	file := d.opts.Config
	one := func(f finding) []check {
		return []check{{name: "config.toml", timeout: short, do: func(context.Context) finding { return f }}}
	}
	data, err := os.ReadFile(file)
	switch {
	case err != nil && d.opts.ConfigGiven:
		return one(fail(err.Error(), "name the file that gitlab-runner uses: doctor --config FILE"))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return one(note("not checked: "+err.Error(), "name the file that gitlab-runner uses: doctor --config FILE"))
	case err != nil:
		return one(fail(err.Error(), ""))
	}
	var config struct {
		Runners []runnerConfig `toml:"runners"`
	}
	if err := toml.Unmarshal(data, &config); err != nil {
		return one(fail(fmt.Sprintf("%s: %v", file, err), "mend it: gitlab-runner does not start with it either"))
	}
	var checks []check
	for i, r := range config.Runners {
		// Only a program that is there tells whose it is; the others go by name.
		if r.Executor != "custom" || !d.isOurs(r) {
			continue
		}
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("number %d", i+1)
		}
		name = "runner " + name
		for _, other := range checks {
			if other.name == name {
				name = fmt.Sprintf("%s (number %d)", name, i+1)
			}
		}
		checks = append(checks, check{name: name, timeout: short, do: func(ctx context.Context) finding { return d.checkRunner(ctx, r) }})
	}
	if len(checks) == 0 {
		return one(note(file+" has no runner that uses this driver", "see README.md, With a real runner"))
	}
	return checks
}

func (d *doctor) isOurs(r runnerConfig) bool {
	self, _ := os.Executable()
	for _, s := range r.stages() {
		if s.exec == "" {
			continue
		}
		if strings.Contains(s.exec, version.Name) || filepath.Dir(s.exec) == filepath.Dir(self) || command(s.exec) != "" {
			return true
		}
	}
	return false
}

func (d *doctor) checkRunner(ctx context.Context, r runnerConfig) finding {
	var wrong, next []string
	complain := func(what, remedy string) { wrong, next = append(wrong, what), append(next, remedy) }
	for _, s := range r.stages() {
		key := s.name + "_exec"
		if s.exec == "" {
			complain(key+" is not set", "set "+key+" to the driver's "+s.name)
			continue
		}
		p := d.machine.inspect(ctx, s.exec)
		switch {
		case p.err != nil:
			complain(fmt.Sprintf("%s = %s: %v", key, s.exec, p.err), "put the driver's "+s.name+" there, executable for "+userName(d.machine.uid))
		case p.stage == "":
			complain(fmt.Sprintf("%s = %s is not this driver's", key, s.exec), "all four stages must be the driver's")
		case p.stage != s.name:
			complain(fmt.Sprintf("%s = %s is the driver's %s", key, s.exec, p.stage), "set "+key+" to "+s.name)
		case p.version != version.Version:
			complain(fmt.Sprintf("%s = %s has version %s, this is %s", key, s.exec, p.version, version.Version), "install all programs of one version")
		}
	}
	if len(wrong) > 0 {
		return fail(strings.Join(wrong, "; "), strings.Join(unique(next), "; "))
	}
	d.remarks(r, complain)
	if len(wrong) > 0 {
		return note(strings.Join(wrong, "; "), strings.Join(unique(next), "; "))
	}
	return ok("all four stages, version %s", version.Version)
}

// remarks tells what works, but not as well as it could.
func (d *doctor) remarks(r runnerConfig, complain func(what, remedy string)) {
	var unset []string
	for _, timeout := range []struct {
		key   string
		value *int
	}{
		{"prepare_exec_timeout", r.Custom.PrepareTimeout},
		{"cleanup_exec_timeout", r.Custom.CleanupTimeout},
		{"graceful_kill_timeout", r.Custom.GracefulTimeout},
		{"force_kill_timeout", r.Custom.ForceTimeout},
	} {
		if timeout.value == nil {
			unset = append(unset, timeout.key)
		}
	}
	if len(unset) > 0 {
		complain("not set: "+strings.Join(unset, ", "), "README.md has values for them; GitLab Runner's own are 3600 for a stage and 600 to kill it")
	}
	stages := r.stages()
	file := envFile(stages[0].args)
	for _, s := range stages[1:] {
		if other := envFile(s.args); other != file {
			complain(fmt.Sprintf("config_args reads --env-file %q, %s_args %q", file, s.name, other), "give all four stages the same")
			return
		}
	}
	if file != d.opts.EnvFile {
		complain(fmt.Sprintf("its stages read --env-file %q, this run %q", file, d.opts.EnvFile), strings.TrimSpace("check with its settings: doctor --env-file "+file))
	}
}

// envFile returns the value of --env-file among a stage's arguments.
func envFile(args []string) string {
	for i, arg := range args {
		name, value, inOne := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != "env-file" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if inOne {
			return value
		}
		if i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// unique keeps the first of equal lines.
func unique(lines []string) (kept []string) {
	seen := map[string]bool{}
	for _, line := range lines {
		if !seen[line] {
			seen[line] = true
			kept = append(kept, line)
		}
	}
	return kept
}
