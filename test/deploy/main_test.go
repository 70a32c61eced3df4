// Package deploy starts what deploy/ has, with stand-ins for the two images
// that cannot be pulled here, and goes the ways that docs/compose.md shows.
package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/flow"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

var (
	site *flow.Site
	// run names what this run makes; others may be under way on the same engine.
	run        = fmt.Sprintf("ecr-deploy-%d", os.Getpid())
	runnerBase = run + "/runner-base:stand-in"
	gitlab     = run + "/gitlab:stand-in"
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	for _, command := range [][]string{{"make", "-s", "-C", "../..", "build"}, {"../images/build"}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
	}
	if site, err = flow.Open(context.Background()); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	// RUNNER_FROM=gitlab/gitlab-runner:... takes the real one, where it can be pulled.
	if real := os.Getenv("RUNNER_FROM"); real != "" {
		runnerBase = real
	}
	for image, config := range map[string]struct {
		program, path string
		v1.Config
	}{
		runnerBase: {"./runner", "usr/bin/gitlab-runner", v1.Config{
			Entrypoint: []string{"/usr/bin/gitlab-runner"}, Cmd: []string{"run"},
			Volumes: map[string]struct{}{"/etc/gitlab-runner": {}}, StopSignal: "SIGQUIT",
		}},
		gitlab: {"./server", "server", v1.Config{
			Entrypoint:  []string{"/server"},
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/server", "healthcheck"}},
		}},
	} {
		if image == os.Getenv("RUNNER_FROM") {
			continue
		}
		if err := standIn(image, config.program, config.path, config.Config); err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, leftover.RemoveImage(image)) }()
	}
	return m.Run(), nil
}

// standIn loads an image with a program of ours into the engine.
func standIn(image, program, path string, config v1.Config) error {
	dir, err := os.MkdirTemp("", "stand-in")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	files, err := ecrtest.Busybox()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	config.Env = []string{"PATH=/usr/bin:/bin"}
	made, err := ecrtest.Image(config, append(files, ecrtest.File{Path: path, Content: content, Mode: 0o755})...)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(image)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, made, &archive); err != nil {
		return fmt.Errorf("writing %s: %w", image, err)
	}
	load := exec.Command("docker", "load", "--quiet")
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading %s: %w: %s", image, err, out)
	}
	return nil
}
