package doctor

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mode(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func write0600(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, got Result, status Status, detail, remedy string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Detail, detail) || !strings.Contains(got.Remedy, remedy) {
		t.Errorf("%s: %s %q (%q), want %s ...%q... (...%q...)", got.Name, got.Status, got.Detail, got.Remedy, status, detail, remedy)
	}
	if status == Fail && got.Remedy == "" {
		t.Errorf("%s failed without a remedy", got.Name)
	}
}
