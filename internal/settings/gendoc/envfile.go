package main

import (
	"io"
	"reflect"
	"strings"
	"text/template"

	"github.com/kelseyhightower/envconfig"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// envFile holds every setting, commented out, with its default: both systemd's
// EnvironmentFile and --env-file read it.
const envFile = `# Settings of gitlab-ecr-executor: one NAME=value a line. Every setting is here
# with its default; remove the # of those that you change.
#
# Lists are comma-separated or a JSON array; pairs are key=value in a list or a
# JSON object; put JSON into single quotes. Sizes are written as 512m or 2g.
# AWS_REGION, AWS_PROFILE, DOCKER_HOST and the like may stand here too.
{{range .}}
{{comment (.Tags.Get "desc")}}
#{{.Key}}={{value .Field (.Tags.Get "default")}}
{{end}}`

func writeEnvFile(out io.Writer) error {
	page, err := template.New("settings.env").Funcs(template.FuncMap{"comment": comment, "value": value}).Parse(envFile)
	if err != nil {
		return err
	}
	return envconfig.Usaget(settings.Prefix, &settings.Settings{}, out, page)
}

// value is a default as text. A number or bool without one is its zero: unlike
// lists and names they cannot be empty.
func value(field reflect.Value, byTag string) string {
	if byTag != "" {
		return byTag
	}
	switch field.Interface().(type) {
	case bool:
		return "false"
	case int, settings.Bytes, settings.CPUs:
		return "0"
	}
	return ""
}

// comment wraps text into lines of comment.
func comment(text string) string {
	const width = 78
	var out strings.Builder
	column := width
	for _, word := range strings.Fields(text) {
		if column+1+len(word) > width {
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteByte('#')
			column = 1
		}
		out.WriteString(" " + word)
		column += 1 + len(word)
	}
	return out.String()
}
