package doctor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/version"
)

// Exit codes.
const (
	exitWell  = 0
	exitIll   = 1
	exitUsage = 2
)

// defaultConfig is where GitLab Runner's packages keep its configuration.
const defaultConfig = "/etc/gitlab-runner/config.toml"

const usage = `doctor: check that this host can run jobs

usage: doctor [flags]

Run it as the user and with the environment of the gitlab-runner process (or with
the --env-file that config.toml gives to the stages). Each check is a line:
ok, note (worth reading, jobs run all the same) or FAIL, with what to do. The
exit code is 0 when nothing failed, 1 otherwise, 2 for wrong arguments.

`

// Connect finds the engine and the registries of the host. It is called when the
// environment is complete. Its error is about the engine; the rest is usable.
type Connect func(s settings.Settings) (Host, error)

// Main checks the host as the arguments say and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer, connect Connect) int {
	var opts Options
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.EnvFile, "env-file", "", "read settings from `FILE` (NAME=value lines), over the environment")
	flags.StringVar(&opts.Config, "config", defaultConfig, "GitLab Runner's config.toml: `FILE`")
	flags.Func("registry", "also get a token for registry `HOST` (may be given again)", add(&opts.Registries))
	flags.Func("pull", "also pull `IMAGE`, with the runner's credentials; it is removed if it was not there before (may be given again)", add(&opts.Pulls))
	asJSON := flags.Bool("json", false, "print a JSON array of {name, status, detail, remedy, duration_ms}")
	showVersion := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitWell
	case err != nil:
		return exitUsage
	case *showVersion:
		fmt.Fprintln(stdout, version.String())
		return exitWell
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "doctor: unexpected argument %q; see doctor --help\n", flags.Arg(0))
		return exitUsage
	}
	flags.Visit(func(f *flag.Flag) { opts.ConfigGiven = opts.ConfigGiven || f.Name == "config" })
	if opts.EnvFile != "" {
		if err := settings.LoadFile(opts.EnvFile); err != nil {
			fmt.Fprintf(stderr, "doctor: %v\n      %s\n", err, failure.Remedy(err))
			return exitUsage
		}
	}

	d := &doctor{opts: opts, key: newKey(), machine: thisMachine()}
	d.settings, d.settingsErr = settings.Load()
	d.Host, d.connectErr = connect(d.settings)
	checks := d.checks()
	var results []Result
	tell := newText(stdout, checks).tell
	if *asJSON {
		tell = func(r Result) { results = append(results, r) }
	}
	well := run(ctx, checks, tell)
	if *asJSON {
		if err := writeJSON(stdout, results); err != nil {
			fmt.Fprintln(stderr, "doctor:", err)
			return exitIll
		}
	}
	if !well {
		return exitIll
	}
	return exitWell
}

// add collects the values of a flag that may be given again, each once.
func add(list *[]string) func(string) error {
	return func(value string) error {
		if value == "" {
			return errors.New("it is empty")
		}
		for _, given := range *list {
			if given == value {
				return nil
			}
		}
		*list = append(*list, value)
		return nil
	}
}
