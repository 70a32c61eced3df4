package dist

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Two builds, in two folders, give the same files.
func TestReproducible(t *testing.T) {
	files := 0
	for _, folder := range []string{first, second} {
		err := filepath.WalkDir(filepath.Join(folder, "dist"), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			files++
			name := strings.TrimPrefix(path, folder)
			if one, another := sum(t, first+name), sum(t, second+name); one != another {
				t.Errorf("%s is not the same in two builds", name)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 2*20 {
		t.Errorf("%d files compared", files)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// checksums.txt has every file that is for users, as sha256sum reads it.
func TestChecksums(t *testing.T) {
	dist := filepath.Join(first, "dist")
	output(t, "sh", "-ec", "cd "+dist+" && sha256sum --check --strict checksums.txt")
	data, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		names = append(names, strings.Fields(line)[1])
	}
	slices.Sort(names)
	want := []string{
		"gitlab-ecr-executor-1.2.3-1.aarch64.rpm", "gitlab-ecr-executor-1.2.3-1.x86_64.rpm",
		"gitlab-ecr-executor_1.2.3-1_amd64.deb", "gitlab-ecr-executor_1.2.3-1_arm64.deb",
		"gitlab-ecr-executor_1.2.3_linux_amd64.cdx.json", "gitlab-ecr-executor_1.2.3_linux_amd64.tar.gz",
		"gitlab-ecr-executor_1.2.3_linux_arm64.cdx.json", "gitlab-ecr-executor_1.2.3_linux_arm64.tar.gz",
	}
	if !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

// An archive is unpacked and works.
func TestArchive(t *testing.T) {
	name := "gitlab-ecr-executor_1.2.3_linux_" + runtime.GOARCH
	archive := filepath.Join(first, "dist", name+".tar.gz")
	for line := range strings.Lines(output(t, "tar", "--utc", "--numeric-owner", "-tvzf", archive)) {
		if !strings.Contains(line, " 0/0 ") || !strings.Contains(line, " 2023-11-14 22:13 "+name+"/") || strings.Contains(line[:10], "rwxrwx") {
			t.Errorf("owner, time or mode: %s", line)
		}
	}
	folder := t.TempDir()
	output(t, "tar", "-C", folder, "-xzf", archive)
	folder = filepath.Join(folder, name)
	checkVersions(t, folder)
	for _, file := range []string{"LICENSE", "README.md", "docs/install.md", "docs/configuration.md", "settings.env", "config.toml"} {
		if _, err := os.Stat(filepath.Join(folder, file)); err != nil {
			t.Error(err)
		}
	}
}

// The SBOM has every module that is linked into the binaries, and no other.
func TestSBOM(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		data, err := os.ReadFile(filepath.Join(first, "dist", "gitlab-ecr-executor_1.2.3_linux_"+arch+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var bom struct {
			BomFormat    string
			Components   []struct{ Type, Name, Version, Purl string }
			Dependencies []struct{ Ref string }
		}
		if err := json.Unmarshal(data, &bom); err != nil || bom.BomFormat != "CycloneDX" {
			t.Fatalf("%q, %v", bom.BomFormat, err)
		}
		var listed, linked, files []string
		for _, component := range bom.Components {
			switch {
			case component.Type == "file":
				files = append(files, component.Name)
			case component.Name != "std":
				listed = append(listed, component.Name+" "+component.Version)
			}
		}
		if want := binaries(t); !slices.Equal(files, want) || len(bom.Dependencies) != len(want)+1 {
			t.Errorf("%s: binaries %q, want %q", arch, files, want)
		}
		modules := output(t, "go", "version", "-m", filepath.Join(first, "dist", "linux_"+arch))
		for _, match := range regexp.MustCompile(`\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(modules, -1) {
			linked = append(linked, match[1]+" "+match[2])
		}
		slices.Sort(listed)
		slices.Sort(linked)
		if linked = slices.Compact(linked); !slices.Equal(listed, linked) || len(linked) < 20 {
			t.Errorf("%s: modules\n%q, want\n%q", arch, listed, linked)
		}
	}
}
