package registryauth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// helper puts a credential helper on PATH that prints what the shell script says.
func helper(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\nread server\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestHostConfig(t *testing.T) {
	const answer = `echo "{\"ServerURL\": \"$server\", \"Username\": \"helped\", \"Secret\": \"s-$server\"}"`
	tests := map[string]struct {
		config  string
		script  string
		image   string
		user    string
		secret  string
		source  string
		fails   string
		warns   string
		missing bool
	}{
		"no file":                {missing: true, image: "registry.example/app"},
		"an empty file":          {image: "registry.example/app"},
		"an entry":               {config: `{"auths": {"registry.example": {"auth": "YTpi"}}}`, image: "registry.example/app", user: "a", secret: "b", source: "config.json"},
		"the longest path":       {config: `{"auths": {"r.example/g": {"auth": "YTpi"}, "r.example": {"auth": "Yzpk"}}}`, image: "r.example/g/app", user: "a", secret: "b"},
		"a helper":               {config: `{"credHelpers": {"r.example": "mine"}}`, script: answer, image: "r.example/app", user: "helped", secret: "s-r.example", source: "docker-credential-mine"},
		"a helper for others":    {config: `{"credHelpers": {"r.example": "mine"}}`, script: answer, image: "s.example/app"},
		"a store":                {config: `{"credsStore": "mine"}`, script: answer, image: "busybox", user: "helped", secret: "s-https://index.docker.io/v1/"},
		"a helper that fails":    {config: `{"credHelpers": {"r.example": "mine"}}`, script: "echo locked; exit 1", image: "r.example/app", fails: "docker-credential-mine"},
		"a store that fails":     {config: `{"credsStore": "mine"}`, script: "echo locked; exit 1", image: "busybox", warns: "locked"},
		"a helper without":       {config: `{"credHelpers": {"r.example": "mine"}}`, script: "echo credentials not found in native keychain; exit 1", image: "r.example/app"},
		"a helper that is none":  {config: `{"credHelpers": {"r.example": "nowhere"}}`, image: "r.example/app", fails: "docker-credential-nowhere"},
		"broken":                 {config: `{`, image: "r.example/app", fails: "config.json"},
		"an entry before helper": {config: `{"auths": {"r.example/g": {"auth": "YTpi"}}, "credsStore": "mine"}`, script: answer, image: "r.example/g/app", user: "a", secret: "b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			if !tt.missing {
				if err := os.WriteFile(file, []byte(tt.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.script != "" {
				helper(t, "mine", tt.script)
			}
			named, err := reference.ParseNormalizedNamed(tt.image)
			if err != nil {
				t.Fatal(err)
			}
			var warned strings.Builder
			cred, found, err := NewHostConfig(file, func(format string, args ...any) { fmt.Fprintf(&warned, format, args...) }).Resolve(t.Context(), named)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("error = %v, want one about %s", err, tt.fails)
				}
				return
			}
			if err != nil || found != (tt.user != "") || cred.Username != tt.user || cred.Password.Reveal() != tt.secret || !strings.Contains(cred.Source, tt.source) {
				t.Errorf("Resolve() = %+v (%q), %v, %v; want %s:%s", cred, cred.Password.Reveal(), found, err, tt.user, tt.secret)
			}
			if !strings.Contains(warned.String(), tt.warns) || (tt.warns == "" && warned.Len() > 0) {
				t.Errorf("warned %q, want %q", warned.String(), tt.warns)
			}
		})
	}
}

func TestDefaultHostConfig(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", "/etc/docker-of-runner")
	if got := DefaultHostConfig(); got != "/etc/docker-of-runner/config.json" {
		t.Errorf("with DOCKER_CONFIG: %s", got)
	}
	t.Setenv("DOCKER_CONFIG", "")
	t.Setenv("HOME", "/home/gitlab-runner")
	if got := DefaultHostConfig(); got != "/home/gitlab-runner/.docker/config.json" {
		t.Errorf("without: %s", got)
	}
	t.Setenv("HOME", "")
	if got := DefaultHostConfig(); got != "" {
		t.Errorf("without a home: %s", got)
	}
}
