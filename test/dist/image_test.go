package dist

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	base  = "gitlab-ecr-executor/test-runner-base"
	image = "gitlab-ecr-executor/test-runner"
)

// docker builds with the builder of the engine, without BuildKit.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("DOCKER_BUILDKIT", "0")
	return output(t, "docker", args...)
}

// makeImage builds the image on a stand-in for gitlab/gitlab-runner.
func makeImage(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	recipe := "FROM gitlab-ecr-executor/test-helper:latest\n" +
		"RUN echo gitlab-runner:x:999:999::/home/gitlab-runner:/bin/sh >>/etc/passwd && install -d -o 999 -g 999 /home/gitlab-runner\n" +
		"ENTRYPOINT [\"/usr/bin/env\"]\n"
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(recipe), 0o644); err != nil {
		t.Fatal(err)
	}
	docker(t, "build", "--quiet", "--tag", base, folder)
	t.Cleanup(func() { docker(t, "image", "rm", "--force", image, base) })
	output(t, "make", "-C", first, "image", "BASE="+base, "IMAGE="+image, "VERSION="+version, "COMMIT="+commit)
}

func TestImage(t *testing.T) {
	makeImage(t)
	for _, name := range binaries(t) {
		line := docker(t, "run", "--rm", image, "/usr/lib/gitlab-ecr-executor/"+name, "--version")
		if !strings.Contains(line, version+" (commit "+commit) {
			t.Errorf("%s --version: %q", name, line)
		}
	}

	var config struct {
		User       string
		Labels     map[string]string
		Entrypoint []string
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", "--format", "{{json .Config}}", image)), &config); err != nil {
		t.Fatal(err)
	}
	if config.User != "gitlab-runner" || len(config.Entrypoint) != 1 {
		t.Errorf("user %q, entrypoint %q: want the base's own", config.User, config.Entrypoint)
	}
	for label, want := range map[string]string{"version": version, "revision": commit, "base.name": base, "licenses": "MIT"} {
		if got := config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

// The image's user reaches the engine when it has the socket's group.
func TestImageSocket(t *testing.T) {
	const socket = "/var/run/docker.sock"
	if _, err := os.Stat(socket); err != nil || os.Getenv("DOCKER_HOST") != "" {
		t.Skip("the engine is not at " + socket)
	}
	makeImage(t)
	group := strings.TrimSpace(output(t, "stat", "-Lc", "%g", socket))
	cleanup := func(args ...string) (string, error) {
		args = append([]string{"run", "--rm", "--volume", socket + ":" + socket, "--env", "CUSTOM_ENV_CI_JOB_ID=1", "--env", "CUSTOM_ENV_CI_PROJECT_ID=1", "--env", "CUSTOM_ENV_CI_RUNNER_ID=1", "--env", "CUSTOM_ENV_CI_CONCURRENT_PROJECT_ID=0"}, args...)
		out, err := exec.Command("docker", append(args, image, "/usr/lib/gitlab-ecr-executor/cleanup")...).CombinedOutput()
		return string(out), err
	}
	if out, err := cleanup("--group-add", group); err != nil {
		t.Errorf("with the group: %v\n%s", err, out)
	}
	if out, err := cleanup(); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("without the group: %v\n%s", err, out)
	}
}

// BuildKit sets the architecture by itself. No image for another architecture is
// here: the binaries are put on an empty one.
func TestImageBuildKit(t *testing.T) {
	if exec.Command("docker", "buildx", "version").Run() != nil {
		t.Skip("no docker buildx")
	}
	for arch, machine := range machines {
		folder := t.TempDir()
		output(t, "docker", "buildx", "build", "--quiet", "--platform", "linux/"+arch, "--file", "../../deploy/Dockerfile.release",
			"--build-arg", "BASE=scratch", "--output", "type=local,dest="+folder, filepath.Join(first, "dist"))
		checkMachine(t, filepath.Join(folder, "usr/lib/gitlab-ecr-executor/prepare"), machine)
		if arch == runtime.GOARCH {
			checkVersions(t, filepath.Join(folder, "usr/lib/gitlab-ecr-executor"))
		}
	}
}
