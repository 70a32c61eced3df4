package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// cleanEnv takes settings of whoever runs the tests away.
func cleanEnv(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, settings.Prefix+"_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv(settings.Prefix+"_STATE_DIR", t.TempDir())
	t.Setenv(settings.Prefix+"_HELPER_IMAGE", "helper:1")
	t.Setenv(settings.Prefix+"_PULL_POLICY", "if-not-present")
}

func TestMainExits(t *testing.T) {
	env := filepath.Join(t.TempDir(), "env")
	write0600(t, env, "ECR_EXECUTOR_NONSENSE=1\n")
	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"well":          {nil, 0, "ok    settings", ""},
		"ill":           {[]string{"--pull", "nowhere:1"}, 1, "FAIL  pull nowhere:1", ""},
		"ill in JSON":   {[]string{"--pull=nowhere:1", "--json"}, 1, `"status": "fail"`, ""},
		"help":          {[]string{"--help"}, 0, "", "usage: doctor"},
		"version":       {[]string{"--version"}, 0, "gitlab-ecr-executor", ""},
		"unknown flag":  {[]string{"--nonsense"}, 2, "", "nonsense"},
		"argument":      {[]string{"now"}, 2, "", `unexpected argument "now"`},
		"no value":      {[]string{"--registry", ""}, 2, "", "it is empty"},
		"no env file":   {[]string{"--env-file", "/nowhere/env"}, 2, "", "/nowhere/env"},
		"bad setting":   {[]string{"--env-file", env}, 1, "ECR_EXECUTOR_NONSENSE", ""},
		"no config":     {[]string{"--config", "/nowhere/config.toml"}, 1, "FAIL  config.toml", ""},
		"several hosts": {[]string{"--registry", registry, "--registry", "ghcr.io", "--registry", registry}, 1, "FAIL  registry ghcr.io", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cleanEnv(t)
			t.Setenv("ECR_EXECUTOR_NONSENSE", "")
			os.Unsetenv("ECR_EXECUTOR_NONSENSE")
			s := newSubject(t)
			var stdout, stderr bytes.Buffer
			code := Main(t.Context(), tt.args, &stdout, &stderr, func(settings.Settings) (Host, error) { return s.Host, nil })
			if code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit code %d, want %d\n%s%s", code, tt.code, stdout.String(), stderr.String())
			}
		})
	}
}

// Without an engine the other checks go on.
func TestMainWithoutEngine(t *testing.T) {
	cleanEnv(t)
	s := newSubject(t)
	s.Host.Engine = nil
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), []string{"--json", "--pull", app}, &stdout, &stderr, func(settings.Settings) (Host, error) { return s.Host, errors.New("bad DOCKER_HOST") })
	var results []jsonResult
	if err := json.Unmarshal(stdout.Bytes(), &results); err != nil {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, r := range results {
		want := Note
		switch r.Name {
		case "docker":
			want = Fail
		case "settings", "state folder", "aws identity":
			want = OK
		}
		if r.Status != want && r.Name != "config.toml" {
			t.Errorf("%s: %s %s", r.Name, r.Status, r.Detail)
		}
	}
}
