package private

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRepositories(t *testing.T) {
	dir := t.TempDir()
	r := In(dir)
	if known, err := r.Has("registry.example/app"); known || err != nil {
		t.Errorf("nothing noted: %v, %v", known, err)
	}
	if err := r.Note("registry.example/app"); err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]bool{"registry.example/app": true, "registry.example/app2": false, "registry.example": false} {
		if known, err := In(dir).Has(repository); known != want || err != nil {
			t.Errorf("Has(%s) = %v, %v; want %v", repository, known, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "private")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := In(file).Note("x"); err == nil {
		t.Error("noted in a file")
	}
	if _, err := In(file).Has("x"); err == nil {
		t.Error("a folder that is none says nothing is private")
	}
	if err := In("").Note("x"); err == nil {
		t.Error("noted nowhere")
	}
}
