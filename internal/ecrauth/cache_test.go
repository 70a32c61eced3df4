package ecrauth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCacheThatCannotBeTrusted(t *testing.T) {
	breakages := map[string]func(t *testing.T, file string) error{
		"garbage":            func(_ *testing.T, file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		"empty token":        func(_ *testing.T, file string) error { return os.WriteFile(file, []byte("{}"), 0o600) },
		"readable by others": func(_ *testing.T, file string) error { return os.Chmod(file, 0o644) },
	}
	for name, breakIt := range breakages {
		t.Run(name, func(t *testing.T) {
			server, dir := setup(t), t.TempDir()
			if _, err := newSubject(server, dir).password(t, server.Host()+"/app"); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "ecr", "*.json"))
			if len(files) != 1 {
				t.Fatalf("cache files: %q", files)
			}
			if err := breakIt(t, files[0]); err != nil {
				t.Fatal(err)
			}
			s := newSubject(server, dir)
			if password, err := s.password(t, server.Host()+"/app"); err != nil || password == "" {
				t.Errorf("password = %q, %v", password, err)
			}
			if len(s.warnings) == 0 || !strings.Contains(s.warnings[0], "aside") {
				t.Errorf("warnings = %q", s.warnings)
			}
			if _, err := os.Stat(files[0] + ".corrupt"); err != nil {
				t.Errorf("the file was not set aside: %v", err)
			}
			if calls := server.TokenCalls(); calls != 2 {
				t.Errorf("%d calls, want a new token", calls)
			}
		})
	}
}

func TestStateDirNotWritable(t *testing.T) {
	server := setup(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSubject(server, file) // root may write anywhere but below a file
	if password, err := s.password(t, server.Host()+"/app"); err != nil || password == "" {
		t.Errorf("password = %q, %v", password, err)
	}
	if len(s.warnings) != 1 || !strings.Contains(s.warnings[0], "ECR_EXECUTOR_STATE_DIR") {
		t.Errorf("warnings = %q, want one that names the setting", s.warnings)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	store := openCache(b.TempDir(), "key", b.Logf)
	store.write(token{Authorization: "QVdTOng=", Issued: time.Now(), Expires: time.Now().Add(12 * time.Hour)}, time.Now())
	for b.Loop() {
		if _, ok := store.read(); !ok {
			b.Fatal("no token")
		}
	}
}
