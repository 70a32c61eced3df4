package ecrauth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

// resolveInChild makes the test binary a process that resolves one credential
// and prints its password: what many jobs of a host do at once.
const resolveInChild = "ECRAUTH_TEST_RESOLVE"

func TestMain(m *testing.M) {
	if host := os.Getenv(resolveInChild); host != "" {
		opts := Options{
			Hosts: map[string]string{host: ecrtest.Region}, StateDir: os.Getenv(resolveInChild + "_STATE"),
			Warn: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		}
		if role := os.Getenv(resolveInChild + "_ROLE"); role != "" {
			opts.Roles = []Role{{Repositories: "**", ARN: role}}
		}
		keychain := New(opts)
		repository, err := reference.ParseNormalizedNamed(host + "/app")
		if err == nil {
			cred, _, resolveErr := keychain.Resolve(context.Background(), repository)
			fmt.Print(cred.Password.Reveal())
			err = resolveErr
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// setup starts an ECR and makes this process, and its children, its principal.
func setup(t *testing.T) *ecrtest.Server {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") && name != "AWS_CA_BUNDLE" {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	server := ecrtest.Start()
	t.Cleanup(server.Close)
	for _, entry := range server.Env() {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	return server
}

// subject is a keychain with a clock and a record of its warnings.
type subject struct {
	*Keychain
	now      time.Time
	warnings []string
}

func newSubject(server *ecrtest.Server, stateDir string, change ...func(*Options)) *subject {
	s := &subject{now: time.Now()}
	opts := Options{
		Hosts:    map[string]string{server.Host(): ecrtest.Region},
		StateDir: stateDir,
		Now:      func() time.Time { return s.now },
		Warn:     func(format string, args ...any) { s.warnings = append(s.warnings, fmt.Sprintf(format, args...)) },
	}
	for _, c := range change {
		c(&opts)
	}
	s.Keychain = New(opts)
	return s
}

func (s *subject) password(t *testing.T, image string) (string, error) {
	t.Helper()
	repository, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		t.Fatal(err)
	}
	cred, found, err := s.Resolve(t.Context(), repository)
	if err == nil && found && (cred.Username != "AWS" || cred.Expires.IsZero() || !strings.HasPrefix(cred.Source, "Amazon ECR")) {
		t.Errorf("credential = %+v", cred)
	}
	return cred.Password.Reveal(), err
}
