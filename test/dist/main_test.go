// Package dist checks what make dist, credential-helpers and image make. It
// builds everything twice: make dist-test asks for that, make test does not.
package dist

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	version = "v1.2.3"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	epoch   = "1700000000"
)

// first and second are two copies of the sources, with what was built in them.
var first, second string

func TestMain(m *testing.M) {
	if os.Getenv("DIST_TEST") == "" {
		fmt.Println("skipped: make dist-test")
		return
	}
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	root, err := os.MkdirTemp("", "dist-test")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(root)
	// Of different lengths, and one with a stricter umask: none may be seen.
	first, second = filepath.Join(root, "one"), filepath.Join(root, "another", "folder")
	for folder, umask := range map[string]string{first: "022", second: "077"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return 0, err
		}
		script := "cd ../.. && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t " + folder +
			" && cd " + folder + " && umask " + umask + " && make dist credential-helpers" +
			" VERSION=" + version + " COMMIT=" + commit + " SOURCE_DATE_EPOCH=" + epoch
		if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("building in %s: %w\n%s", folder, err, out)
		}
	}
	return m.Run(), nil
}

// output runs a program and returns what it printed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// binaries are the names of the programs under cmd.
func binaries(t *testing.T) (names []string) {
	t.Helper()
	mains, err := filepath.Glob("../../cmd/*/main.go")
	if err != nil || len(mains) < 5 {
		t.Fatalf("programs %q, %v", mains, err)
	}
	for _, main := range mains {
		names = append(names, filepath.Base(filepath.Dir(main)))
	}
	return names
}

// checkVersions runs --version of the programs in folder, which are for this machine.
func checkVersions(t *testing.T, folder string) {
	t.Helper()
	want := fmt.Sprintf("gitlab-ecr-executor %s (commit %s, %s, linux/%s)\n", version, commit, runtime.Version(), runtime.GOARCH)
	for _, name := range binaries(t) {
		if line := output(t, filepath.Join(folder, name), "--version"); line != want {
			t.Errorf("%s --version: %q, want %q", name, line, want)
		}
		if name == "doctor" {
			output(t, filepath.Join(folder, name), "--help")
		}
	}
}
