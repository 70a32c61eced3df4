package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/flow"
)

// Server and runner: the runner is created by the API, and jobs reach the server
// by the name that the runner knows.
func TestComplete(t *testing.T) {
	s := newStack(t, "compose.complete.yaml")
	s.mustCompose(t, "up", "-d")
	url := fmt.Sprintf("http://gitlab-server:%d", s.port)
	s.register(t, 1, "does not know this personal access token", nil, "register-complete", "glpat-wrong")
	s.register(t, 1, "needs the scope create_runner", nil, "register-complete", gitlabtest.WeakToken)
	s.register(t, 0, "registered at "+url, nil, "register-complete", gitlabtest.PrivateToken)
	s.register(t, 0, "registered at "+url+" already", []string{"GITLAB_TOKEN=" + gitlabtest.PrivateToken}, "register-complete")
	if config := s.inRunner(t, "cat /etc/gitlab-runner/config.toml"); strings.Count(config, "[[runners]]") != 1 || !strings.Contains(config, `token = "glrt-`) {
		t.Errorf("config.toml:\n%s", config)
	}

	job := site.Job("wget -q -O - http://gitlab-server:$GITLAB_PORT/-/health")
	job.Variables = map[string]string{"GITLAB_PORT": strconv.Itoa(s.port)}
	if err := play(s, job, "success", "GitLab OK"); err != nil {
		t.Error(err)
	}
}

// play gives a job to the server in its container.
func play(s *stack, job gitlabtest.Job, status string, says ...string) error {
	at := fmt.Sprintf("http://127.0.0.1:%d/stand-in/jobs", s.port)
	body, err := json.Marshal(job)
	if err != nil {
		return err
	}
	answer, err := http.Post(at, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	id, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var state gitlabtest.State
	for deadline := time.Now().Add(time.Minute); !state.Ended() && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(at + "/" + string(id))
		if err != nil {
			return err
		}
		err = json.NewDecoder(response.Body).Decode(&state)
		_ = response.Body.Close()
		if err != nil {
			return err
		}
	}
	if number, err := strconv.ParseInt(string(id), 10, 64); err == nil {
		defer func() { _ = flow.Remove(number) }()
	}
	return flow.Check(state, status, says...)
}

func TestPortTaken(t *testing.T) {
	s := newStack(t, "compose.complete.yaml")
	taken, err := net.Listen("tcp", "0.0.0.0:"+strconv.Itoa(s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s.register(t, 1, fmt.Sprintf("port %d of this host is taken", s.port), nil, "register-complete", gitlabtest.PrivateToken)
}
