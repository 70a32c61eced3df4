package deploy

import (
	"bytes"
	"context"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

const folder = "../../deploy"

// stack is a Compose project of its own.
type stack struct {
	file string
	env  []string
	port int // of gitlab-server
}

func newStack(t *testing.T, file string) *stack {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "runner.env")
	if err := os.WriteFile(settings, []byte(strings.Join(site.Env(), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	project := run + "-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	s := &stack{file: file, port: freePort(t)}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); !strings.HasPrefix(name, "GITLAB_") && !strings.HasPrefix(name, "RUNNER_") && !strings.HasPrefix(name, "ECR_") {
			s.env = append(s.env, entry)
		}
	}
	s.env = append(s.env, "COMPOSE_PROJECT_NAME="+project, "RUNNER_BASE="+runnerBase, "RUNNER_IMAGE="+project+":test", "RUNNER_ENV="+settings,
		"RUNNER_NAME=under test", "GITLAB_IMAGE="+gitlab, "GITLAB_PORT="+strconv.Itoa(s.port), "GITLAB_HEALTH_INTERVAL=1s",
		"DOCKER_BUILDKIT=0", "COMPOSE="+compose(t))
	t.Cleanup(func() {
		if out, err := s.compose("down", "--volumes", "--timeout", "5"); err != nil {
			t.Errorf("compose down: %v\n%s", err, out)
		}
		if err := leftover.RemoveImage(project + ":test"); err != nil && !strings.Contains(err.Error(), "No such image") {
			t.Error(err)
		}
		for _, kind := range []string{"ps -a", "volume ls", "network ls"} {
			args := append(strings.Fields(kind), "-q", "--filter", "label=com.docker.compose.project="+project)
			if out, err := exec.Command("docker", args...).Output(); err != nil || len(out) > 0 {
				t.Errorf("docker %s after down: %q, %v", kind, out, err)
			}
		}
	})
	return s
}

// compose returns the command of the Compose to test: the environment's, else
// what is installed, as deploy/register looks for it.
func compose(t *testing.T) string {
	t.Helper()
	switch {
	case os.Getenv("COMPOSE") != "":
		return os.Getenv("COMPOSE")
	case exec.Command("docker", "compose", "version").Run() == nil:
		return "docker compose"
	case exec.Command("docker-compose", "version").Run() == nil:
		return "docker-compose"
	}
	t.Fatal("no Docker Compose: apt-get install docker-compose")
	return ""
}

// command runs a program in a folder, with the stack's environment and more.
func (s *stack) command(dir, stdin string, env []string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	var out bytes.Buffer
	c.Dir, c.Stdin, c.Stdout, c.Stderr = dir, strings.NewReader(stdin), &out, &out
	c.Env = append(s.env[:len(s.env):len(s.env)], env...)
	err := c.Run()
	return out.String(), err
}

func (s *stack) compose(args ...string) (string, error) {
	for _, entry := range s.env {
		if command, ok := strings.CutPrefix(entry, "COMPOSE="); ok {
			words := append(strings.Fields(command), "-f", s.file)
			return s.command(folder, "", nil, append(words, args...)...)
		}
	}
	panic("newStack sets COMPOSE")
}

func (s *stack) mustCompose(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.compose(args...)
	if err != nil {
		t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// inRunner runs a shell command in the runner's container.
func (s *stack) inRunner(t *testing.T, command string) string {
	t.Helper()
	return s.mustCompose(t, "exec", "-T", "runner", "sh", "-c", command)
}

// register runs a script of deploy/ and checks how it ends and its last line.
func (s *stack) register(t *testing.T, want int, says string, env []string, script string, args ...string) {
	t.Helper()
	out, err := s.command(folder, "", env, append([]string{"./" + script}, args...)...)
	code := 0
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != want || len(lines) != 1 || !strings.Contains(lines[0], says) {
		t.Errorf("%s %q ended with %d and said:\n%s\nwant %d and one line with %q", script, args, code, out, want, says)
	}
}

// coordinator is a GitLab server on this host.
func coordinator(t *testing.T) (*gitlabtest.Server, string) {
	t.Helper()
	server := gitlabtest.New()
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return server, listening.URL
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
