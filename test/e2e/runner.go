package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/flow"
)

// runner is a running gitlab-runner and the server that it asks.
type runner struct {
	dir       string
	listening *httptest.Server
	process   *exec.Cmd
	log       bytes.Buffer
}

func startRunner(ctx context.Context, program string, site *flow.Site, server *gitlabtest.Server) (r *runner, err error) {
	r = &runner{listening: httptest.NewServer(server)}
	if r.dir, err = os.MkdirTemp("", "e2e"); err != nil {
		return nil, err
	}
	config := filepath.Join(r.dir, "config.toml")
	if err := writeConfig(config, r.listening.URL, server.AddRunner()); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	if out, err := exec.CommandContext(ctx, program, "--version").Output(); err == nil {
		fmt.Printf("%s\n%s", program, out)
	}
	if out, err := exec.CommandContext(ctx, program, "verify", "--config", config).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("gitlab-runner verify: %w\n%s", err, out), r.remove())
	}
	r.process = exec.Command(program, "run", "--config", config, "--working-directory", r.dir)
	r.process.Stdout, r.process.Stderr = &r.log, &r.log
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "AWS_") && !strings.HasPrefix(entry, "ECR_EXECUTOR_") {
			r.process.Env = append(r.process.Env, entry)
		}
	}
	r.process.Env = append(append(r.process.Env, site.Env()...), "ECR_EXECUTOR_STATE_DIR="+filepath.Join(r.dir, "state"))
	if err := r.process.Start(); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

// writeConfig fills in deploy's template, with this folder's binaries.
func writeConfig(file, url, token string) error {
	template, err := os.ReadFile("deploy/config.template.toml")
	if err != nil {
		return err
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	config := strings.NewReplacer("@NAME@", "e2e", "@URL@", url, "@TOKEN@", token, "/usr/local/lib/gitlab-ecr-executor", bin,
		"check_interval = 3", "check_interval = 1").Replace(string(template))
	return os.WriteFile(file, []byte(config), 0o600)
}

// stop lets the runner end as a service manager does.
func (r *runner) stop() error {
	done := make(chan error, 1)
	go func() { done <- r.process.Wait() }()
	err := r.process.Process.Signal(syscall.SIGQUIT)
	select {
	case <-done: // whatever its exit code: some versions have one for signals
	case <-time.After(time.Minute):
		err = errors.Join(errors.New("gitlab-runner does not end"), r.process.Process.Kill())
		<-done
	}
	return errors.Join(err, r.remove())
}

func (r *runner) remove() error {
	r.listening.CloseClientConnections()
	r.listening.Close()
	return os.RemoveAll(r.dir)
}
