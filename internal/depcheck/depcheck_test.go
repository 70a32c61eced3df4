// Package depcheck holds the rules of who may import whom.
package depcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gitlab-ecr-executor/gitlab-ecr-executor/"

// allowed names the packages of ours that each package may import itself.
// Everyone may import failure and version.
var allowed = map[string][]string{
	"internal/certs":           {},
	"internal/depcheck":        {},
	"internal/dockerops":       {"internal/owner", "internal/plan", "internal/private", "internal/registryauth", "internal/settings"},
	"internal/doctor":          {"internal/gitlab", "internal/owner", "internal/plan", "internal/registryauth", "internal/settings"},
	"internal/driver":          {"internal/gitlab", "internal/owner", "internal/settings", "internal/stages"},
	"internal/ecrauth":         {"internal/registryauth"},
	"internal/ecrtest":         {},
	"internal/failure":         {},
	"internal/gitlab":          {},
	"internal/gitlabtest":      {},
	"internal/owner":           {},
	"internal/plan":            {"internal/gitlab", "internal/settings"},
	"internal/private":         {},
	"internal/registryauth":    {},
	"internal/replay":          {},
	"internal/settings":        {},
	"internal/settings/gendoc": {"internal/settings"},
	"internal/stages":          {"internal/certs", "internal/gitlab", "internal/plan", "internal/registryauth", "internal/settings"},
	"internal/version":         {},
}

// owners are the packages that may import an SDK.
var owners = map[string][]string{
	"github.com/docker/docker": {"internal/dockerops"},
	"github.com/aws/":          {"internal/ecrauth"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func list() ([]goPackage, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		return nil, err
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// check returns what breaks the rules.
func check(packages []goPackage) (violations []string) {
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "test/") {
			continue // they wire
		}
		ours, known := allowed[name]
		if !known {
			violations = append(violations, name+": not in the table of depcheck: add it with what it may import")
			continue
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module); ok {
				if own != "internal/failure" && own != "internal/version" && !slices.Contains(ours, own) {
					violations = append(violations, fmt.Sprintf("%s -> %s", name, own))
				}
			}
			for sdk, may := range owners {
				if strings.HasPrefix(imported, sdk) && !slices.Contains(may, name) {
					violations = append(violations, fmt.Sprintf("%s -> %s", name, imported))
				}
			}
		}
	}
	return violations
}

func TestImportRules(t *testing.T) {
	packages, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < len(allowed)-1 {
		t.Fatalf("go list knows %d packages only", len(packages))
	}
	for _, violation := range check(packages) {
		t.Error(violation)
	}
}

func TestViolationsAreFound(t *testing.T) {
	made := []goPackage{
		{module + "internal/plan", []string{module + "internal/dockerops", "fmt"}},
		{module + "internal/stages", []string{"github.com/docker/docker/client"}},
		{module + "internal/settings", []string{"github.com/aws/aws-sdk-go-v2/config"}},
		{module + "internal/novelty", nil},
		{module + "internal/dockerops", []string{"github.com/docker/docker/client", module + "internal/plan", module + "internal/failure"}},
	}
	if got := check(made); len(got) != 4 {
		t.Errorf("violations = %q, want 4", got)
	}
}
