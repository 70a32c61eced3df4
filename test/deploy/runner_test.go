package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/flow"
)

// From nothing to jobs: the driver runs in a container that shares no folder
// with the engine.
func TestRunnerOnly(t *testing.T) {
	s := newStack(t, "compose.yaml")
	server, url := coordinator(t)
	s.mustCompose(t, "up", "-d")
	token := server.AddRunner()
	s.register(t, 0, "registered at "+url, nil, "register", url+"/", token)
	if got := s.inRunner(t, "stat -c %a /etc/gitlab-runner/config.toml; ls -A /etc/gitlab-runner"); strings.Join(strings.Fields(got), " ") != "600 config.toml" {
		t.Errorf("mode and files: %q", got)
	}
	config := s.inRunner(t, "cat /etc/gitlab-runner/config.toml")
	for _, want := range []string{`url = "` + url + `"`, `token = "` + token + `"`, `name = "under test"`, `executor = "custom"`} {
		if !strings.Contains(config, want) {
			t.Errorf("config.toml lacks %s:\n%s", want, config)
		}
	}
	awaitHealthy(t, s)

	t.Run("private image", func(t *testing.T) {
		if err := site.Play(server, site.Job("echo as $(id -un)", "env | grep ^AWS_ || echo no keys in sight"), "success", "as root", "\nno keys in sight"); err != nil {
			t.Error(err)
		}
	})
	t.Run("DinD", func(t *testing.T) {
		if err := site.Play(server, site.DindJob(), "success", "Successfully built", "built: digest: sha256:"); err != nil {
			t.Error(err)
		}
	})
	t.Run("killed runner", func(t *testing.T) { testKilledRunner(t, s, server) })

	// A second time, and beside another runner.
	s.register(t, 0, "is registered at "+url+" already", nil, "register", url, token)
	if again := s.inRunner(t, "cat /etc/gitlab-runner/config.toml"); again != config {
		t.Errorf("registered twice, config.toml is\n%s", again)
	}
	other := server.AddRunner()
	s.register(t, 0, "kept as config.toml.", []string{"GITLAB_URL=" + url, "RUNNER_TOKEN=" + other}, "register")
	both := s.inRunner(t, "cat /etc/gitlab-runner/config.toml; stat -c 'mode %a' /etc/gitlab-runner/*; cat /etc/gitlab-runner/config.toml.*")
	if !strings.HasPrefix(both, config) || strings.Count(both, other) != 1 || strings.Count(both, token) != 2 || strings.Count(both, "mode 600") != 2 ||
		strings.Count(both, "\nconcurrent = ") != 2 {
		t.Errorf("with a second runner, config.toml, modes and backup are\n%s", both)
	}
}

// What a runner that was killed left, the next job removes, though its runner's
// container is another one.
func testKilledRunner(t *testing.T, s *stack, server *gitlabtest.Server) {
	id := server.Enqueue(site.Job("echo started", "sleep 600"))
	if _, err := server.Await(id, time.Minute, func(now gitlabtest.State) bool { return strings.Contains(now.Trace, "\nstarted") }); err != nil {
		t.Fatal(err)
	}
	s.mustCompose(t, "kill", "-s", "KILL", "runner")
	s.mustCompose(t, "rm", "-f", "runner")
	s.mustCompose(t, "up", "-d")
	if err := site.Play(server, site.Job("echo next"), "success", "\nnext"); err != nil {
		t.Error(err)
	}
	if err := flow.Remove(id); err != nil {
		t.Error(err)
	}
}

func awaitHealthy(t *testing.T, s *stack) {
	t.Helper()
	// The interval is half a minute: what it runs is run here.
	s.inRunner(t, "test -S /var/run/docker.sock && /usr/local/lib/gitlab-ecr-executor/config --version")
}
