package integration

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// sidecar is a DinD sidecar of a job that runs, seen by somebody who has become
// root in it.
type sidecar struct {
	t    *testing.T
	id   string // of its container
	jobs []string
	// enter is put in front of a command to run it as that root.
	enter []string
}

const socket = "DOCKER_HOST=unix:///gitlab-docker/docker.sock"

// startSidecar runs the job s, whose daemon has the image $PRIVATE then, until
// the test ends.
func startSidecar(t *testing.T, s *subject) *sidecar {
	t.Helper()
	s.Job.Script = []string{`docker pull -q "$PRIVATE"`, "echo ready", "sleep 600"}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(ctx, s.Options) }()
	t.Cleanup(func() {
		cancel()
		<-done
		s.expectNothingLeft(t)
	})
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "\nready\n") })
	find := func(name string) []string {
		return lines("docker", "ps", "-q", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(s.JobID), "--filter", "name="+name)
	}
	found, others := find("-service-0$"), append(find("-helper$"), find("-build$")...)
	if len(found) != 1 || len(others) != 2 {
		t.Fatalf("sidecars %q, other containers %q", found, others)
	}
	c := &sidecar{t: t, id: found[0], jobs: others, enter: []string{"docker", "exec", "-e", socket, "-u", "0", found[0]}}
	binary := filepath.Join(t.TempDir(), "attack")
	build := exec.Command("go", "build", "-o", binary, "../attack")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the attack: %v\n%s", err, out)
	}
	if out, err := exec.Command("docker", "cp", binary, c.id+":/attack").CombinedOutput(); err != nil {
		t.Fatalf("docker cp: %v\n%s", err, out)
	}
	return c
}

// rootless makes c the root of the daemon's user namespace: what a job becomes
// by means of the daemon.
func (c *sidecar) rootless() *sidecar {
	c.t.Helper()
	out, code := c.outside(`for dir in /proc/[0-9]*; do [ "$(cat $dir/comm 2>/dev/null)" = dockerd ] && echo "${dir#/proc/}"; done; stat -c %u /home/rootless`)
	pid, user, ok := strings.Cut(strings.TrimSpace(out), "\n")
	if code != 0 || !ok {
		c.t.Fatalf("no daemon in the sidecar: %s", out)
	}
	inner := *c
	inner.enter = []string{"docker", "exec", "-e", socket, "-u", user, c.id, "nsenter", "--user", "--preserve-credentials", "--mount", "--net", "--target", pid}
	return &inner
}

// try runs a script in a mount namespace of its own and in an empty folder that
// is its own, so that nothing that it does to files outlives it.
func (c *sidecar) try(script string) (output string, code int) {
	c.t.Helper()
	return c.run(slices.Concat(c.enter, []string{"unshare", "--mount", "sh", "-euc", "mount -t tmpfs attack /mnt; cd /mnt\n" + script}))
}

// outside runs a script as root of the container, whatever enter is.
func (c *sidecar) outside(script string) (output string, code int) {
	c.t.Helper()
	return c.run([]string{"docker", "exec", "-u", "0", c.id, "sh", "-euc", script})
}

// docker asks the sidecar's daemon.
func (c *sidecar) docker(words ...string) (output string, code int) {
	c.t.Helper()
	return c.run(slices.Concat(c.enter, []string{"docker"}, words))
}

func (c *sidecar) run(words []string) (output string, code int) {
	c.t.Helper()
	command := exec.Command(words[0], words[1:]...)
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		c.t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func cgroup2() bool {
	return strings.Join(lines("docker", "info", "--format", "{{.CgroupVersion}}"), "") == "2"
}
