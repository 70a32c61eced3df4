// Command gendoc prints the settings reference, docs/configuration.md; with
// --env, a settings file that holds every setting.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/kelseyhightower/envconfig"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

const page = `# Settings

Generated from internal/settings by ` + "`make docs`" + `; do not edit.

Settings are variables in the environment of the gitlab-runner process, or in
the file given by ` + "`--env-file FILE`" + ` in config_args, prepare_args, run_args
and cleanup_args of config.toml. The file wins; it may hold AWS_PROFILE,
DOCKER_HOST and the like as well. Variables of a job are never settings. An
unknown or malformed setting fails the job and is named in its log.

Lists are comma-separated or a JSON array; pairs are key=value in a list or a
JSON object; sizes are written as 512m or 2g.

| setting | default | meaning |
| --- | --- | --- |
{{range .}}| ` + "`{{usage_key .}}`" + ` | {{with usage_default .}}` + "`{{.}}`" + `{{end}} | {{usage_description .}} |
{{end}}
The variables of Docker's and AWS's own clients keep their meaning: DOCKER_HOST,
DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, AWS_REGION, AWS_PROFILE,
AWS_ENDPOINT_URL_ECR and so on.
`

func main() {
	env := flag.Bool("env", false, "print a settings file in place of the reference")
	flag.Parse()
	write := func(out io.Writer) error { return envconfig.Usagef(settings.Prefix, &settings.Settings{}, out, page) }
	if *env {
		write = writeEnvFile
	}
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}
