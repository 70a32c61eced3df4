package replay

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func jobFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadJob(t *testing.T) {
	job, err := ReadJob(jobFile(t, `
stages: [test]
variables: {A: top, B: top}
default:
  image: default:1
.hidden: {script: [no]}
other: {script: other}
mine:
  image: {name: app:1, entrypoint: [""], pull_policy: always, docker: {user: 1000, platform: linux/arm64}}
  services:
    - redis:7
    - {name: pg:16, alias: db, command: [a, b], variables: {P: x}}
  variables: {B: job}
  before_script: first
  script:
    - one
    - [two, [three]]
    - |
      four
      five
  after_script: [last]
`), "mine")
	if err != nil {
		t.Fatal(err)
	}
	want := Job{
		Name: "mine", Variables: map[string]string{"A": "top", "B": "job"},
		Image:        Image{Name: "app:1", Entrypoint: words{""}, PullPolicies: words{"always"}},
		Services:     []Image{{Name: "redis:7"}, {Name: "pg:16", Alias: "db", Command: words{"a", "b"}, Variables: map[string]string{"P": "x"}}},
		BeforeScript: []string{"first"},
		Script:       []string{"one", "two", "three", "four\nfive\n"},
		AfterScript:  []string{"last"},
	}
	want.Image.Docker.User, want.Image.Docker.Platform = "1000", "linux/arm64"
	if !reflect.DeepEqual(job, want) {
		t.Errorf("job =\n%+v, want\n%+v", job, want)
	}
}

func TestReadJobMistakes(t *testing.T) {
	tests := map[string]struct{ content, job, want string }{
		"unknown keyword":    {"a:\n  script: x\n  retry: 2\n", "", `line 3: replay does not know the keyword "retry"`},
		"unknown in image":   {"a:\n  script: x\n  image: {name: b, nmae: c}\n", "", `"nmae" of an image`},
		"unknown at the top": {"include: x.yml\na: {script: x}\n", "", `unknown keyword "include"`},
		"several jobs":       {"a: {script: x}\nb: {script: y}\n", "", `choose with --job one of ["a" "b"]`},
		"no such job":        {"a: {script: x}\n", "c", `no job "c"`},
		"no script":          {"a: {image: x}\n", "", "it has no script"},
		"broken YAML":        {"a: [\n", "", "reading the job file"},
		"empty":              {"", "", "it holds no job"},
		"script of a map":    {"a: {script: {b: c}}\n", "", "want a string or a list"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ReadJob(jobFile(t, tt.content), tt.job)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}
