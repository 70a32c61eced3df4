package ecrauth

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestPrune(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	ecr := filepath.Join(dir, "ecr")
	if err := os.Mkdir(ecr, 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, expires := range map[string]time.Duration{
		"old.json": -25 * time.Hour, "old.json.lock": -40 * time.Hour, "old.json.corrupt": -25 * time.Hour, ".token-123": -25 * time.Hour,
		"late.json": -23 * time.Hour, "late.json.lock": -40 * time.Hour, "valid.json": time.Hour, "valid.json.lock": -400 * time.Hour,
		"somebody-elses": -400 * time.Hour, ".token-456": -time.Hour,
	} {
		file := filepath.Join(ecr, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.Add(expires), now.Add(expires)); err != nil {
			t.Fatal(err)
		}
	}
	s := newSubject(server, dir)
	if _, err := s.password(t, server.Host()+"/app"); err != nil || len(s.warnings) != 0 {
		t.Fatalf("%v, warnings %q", err, s.warnings)
	}
	own, err := filepath.Glob(filepath.Join(ecr, "????????????????????????????????.json*"))
	if err != nil || len(own) != 2 {
		t.Fatalf("own files: %q, %v", own, err)
	}
	entries, err := os.ReadDir(ecr)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if !slices.Contains(own, filepath.Join(ecr, entry.Name())) {
			names = append(names, entry.Name())
		}
	}
	want := []string{".token-456", "late.json", "late.json.lock", "somebody-elses", "valid.json", "valid.json.lock"}
	if !slices.Equal(names, want) {
		t.Errorf("left: %q, want %q", names, want)
	}

	// The token that was written goes the same way, a day after it has expired.
	if err := prune(ecr, now.Add(35*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own[0]); err != nil {
		t.Errorf("23 hours after it has expired: %v", err)
	}
	if err := prune(ecr, now.Add(37*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(ecr, "*.json*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
