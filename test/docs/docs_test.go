// Package docs checks what the documentation says as far as a program can.
package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/kelseyhightower/envconfig"
	"go.yaml.in/yaml/v3"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// pages returns the text of all pages by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 4 {
		t.Fatalf("pages %q, %v", names, err)
	}
	texts := map[string]string{}
	for _, name := range append(names, "../../README.md", "../../CONTRIBUTING.md") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(data)
	}
	return texts
}

var block = regexp.MustCompile("(?s)```(json|yaml)\n(.*?)```")

// Examples are what they claim to be.
func TestExamplesParse(t *testing.T) {
	found := 0
	for name, text := range pages(t) {
		for _, match := range block.FindAllStringSubmatch(text, -1) {
			found++
			var value any
			var err error
			if match[1] == "json" {
				err = json.Unmarshal([]byte(match[2]), &value)
			} else {
				err = yaml.Unmarshal([]byte(match[2]), &value)
			}
			if err != nil {
				t.Errorf("%s: %v in\n%s", name, err, match[2])
			}
		}
	}
	if found < 8 {
		t.Errorf("%d examples found", found)
	}
}

// Settings that the pages name are settings.
func TestSettingsExist(t *testing.T) {
	known := map[string]bool{}
	gather := envconfigNames(t)
	for _, name := range gather {
		known[name] = true
	}
	for page, text := range pages(t) {
		for _, name := range regexp.MustCompile(`ECR_EXECUTOR_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			if !known[name] {
				t.Errorf("%s names %s, which is no setting", page, name)
			}
		}
	}
}

func envconfigNames(t *testing.T) []string {
	t.Helper()
	var out strings.Builder
	if err := envconfig.Usagef(settings.Prefix, &settings.Settings{}, &out, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(out.String())
	if want := reflect.TypeFor[settings.Settings]().NumField(); len(names) != want {
		t.Fatalf("%d settings found, want %d", len(names), want)
	}
	return names
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Links within the repository lead to files.
func TestLinks(t *testing.T) {
	for page, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// Targets that the pages name are in the Makefile.
func TestMakeTargets(t *testing.T) {
	for page, text := range pages(t) {
		for _, match := range regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z-]*)(?:`| +#)").FindAllStringSubmatch(text, -1) {
			command := exec.Command("make", "-n", "-C", "../..", match[1])
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s: make %s: %v\n%s", page, match[1], err, out)
			}
		}
	}
}
