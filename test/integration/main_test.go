// Package integration runs jobs through the built binaries against a real
// Docker Engine and an ECR on loopback.
package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

// Images of test/images.
const (
	helperImage   = "gitlab-ecr-executor/test-helper:latest"
	dindImage     = "gitlab-ecr-executor/test-dind:latest"
	rootlessImage = "gitlab-ecr-executor/test-dind-rootless:latest"
)

var (
	binDir string
	ecr    *ecrtest.Server
	// inner is the registry's host as containers reach it.
	inner string
	// firstID makes the jobs of this run differ from those of others.
	firstID = time.Now().UnixMilli()
	lastID  atomic.Int64
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if out, err := exec.Command("../images/build").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("making the test images: %w\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "integration")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binDir = dir
	build := exec.Command("go", "build", "-o", dir+"/", "../../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building: %w\n%s", err, out)
	}
	ecr = ecrtest.Start()
	defer ecr.Close()
	if inner, err = ecr.Reach(); err != nil {
		return 1, err
	}
	if err := pushImages(); err != nil {
		return 1, err
	}
	defer removeLeftovers()
	return m.Run(), nil
}

// pushImages fills the private registry with the images of the tests' jobs.
func pushImages() error {
	files, err := ecrtest.Busybox()
	if err != nil {
		return err
	}
	entrypoint := ecrtest.File{Path: "bin/entrypoint", Mode: 0o755, Content: []byte("#!/bin/sh\nexport FROM_ENTRYPOINT=set\necho entrypoint got \"$1\" >&2\nexec \"$@\"\n")}
	hold := ecrtest.File{Path: "bin/ballast", Content: bytes.Repeat([]byte("0123456789abcdef"), 1<<14)}
	images := map[string]struct {
		config v1.Config
		files  []ecrtest.File
	}{
		"app":        {v1.Config{Cmd: []string{"sh"}}, files},
		"user":       {v1.Config{User: "app"}, files},
		"entrypoint": {v1.Config{Entrypoint: []string{"/bin/entrypoint"}}, append(files[:len(files):len(files)], entrypoint)},
		"volume":     {v1.Config{Volumes: map[string]struct{}{"/declared": {}}}, files},
		"web": {v1.Config{
			ExposedPorts: map[string]struct{}{"80/tcp": {}},
			Cmd:          []string{"sh", "-c", `mkdir -p /www; echo "$GREETING" > /www/index.html; sleep 1; exec httpd -f -p 80 -h /www`},
		}, files},
		"healthy": {v1.Config{
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "test -f /ready"}, Interval: 200 * time.Millisecond, Retries: 2},
			Cmd:         []string{"sh", "-c", "sleep 1; touch /ready; exec sleep 600"},
		}, files},
		"noshell":  {v1.Config{}, []ecrtest.File{hold}},
		"roles":    {v1.Config{}, append(files[:len(files):len(files)], ecrtest.File{Path: "roles", Content: []byte("x")})},
		"identity": {v1.Config{}, append(files[:len(files):len(files)], ecrtest.File{Path: "identity", Content: []byte("x")})},
		"tenant":   {v1.Config{}, append(files[:len(files):len(files)], ecrtest.File{Path: "tenant", Content: []byte("x")})},
		"retried":  {v1.Config{}, append(files[:len(files):len(files)], hold)},
	}
	for name, image := range images {
		image.config.Env = []string{"PATH=/bin"}
		made, err := ecrtest.Image(image.config, image.files...)
		if err == nil {
			_, err = ecr.Push(context.Background(), name, "v1", made)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeLeftovers removes what the driver keeps for next jobs, and the images.
func removeLeftovers() {
	for id := firstID + 1; id <= firstID+lastID.Load(); id++ {
		report(leftover.RemoveVolumes(id))
	}
	for _, image := range lines("docker", "images", "--format", "{{.Repository}}:{{.Tag}}") {
		if strings.HasPrefix(image, ecr.Host()+"/") {
			report(leftover.RemoveImage(image))
		}
	}
}

func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func lines(command ...string) []string {
	out, _ := exec.Command(command[0], command[1:]...).Output()
	return strings.Fields(string(out))
}

// subject is a job with the log that it leaves.
type subject struct {
	replay.Options
	log *syncBuffer
}

// newJob returns a job in the private image name with this script. Its project
// is its own, so nothing is left of other tests' jobs.
func newJob(t *testing.T, image string, script ...string) *subject {
	t.Helper()
	s := &subject{Options: replay.DefaultOptions(), log: &syncBuffer{}}
	s.Job = replay.Job{Name: t.Name(), Script: script, Variables: map[string]string{}}
	s.Job.Image.Name = image
	if !strings.Contains(image, ":") {
		s.Job.Image.Name = ecr.Host() + "/" + image + ":v1"
	}
	s.BinDir, s.Log = binDir, s.log
	s.JobID = firstID + lastID.Add(1)
	s.ProjectID = s.JobID
	s.Timeout = 2 * time.Minute
	s.RetryInterval = 10 * time.Millisecond
	s.Env = s.environ(t.TempDir(), "ECR_EXECUTOR_HELPER_IMAGE="+helperImage, "ECR_EXECUTOR_PULL_POLICY=if-not-present",
		"ECR_EXECUTOR_DIND_IMAGES=**/test-dind*:*", "ECR_EXECUTOR_DIND_INSECURE_REGISTRIES="+inner)
	return s
}

// environ is the environment of a gitlab-runner process on a host whose AWS is
// the ECR of the tests.
func (s *subject) environ(stateDir string, settings ...string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "AWS_") && !strings.HasPrefix(entry, "ECR_EXECUTOR_") {
			env = append(env, entry)
		}
	}
	none := filepath.Join(stateDir, "none")
	env = append(env, "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none, "ECR_EXECUTOR_STATE_DIR="+stateDir)
	return append(append(env, ecr.Env()...), settings...)
}

// set adds to the driver's environment.
func (s *subject) set(entries ...string) *subject {
	s.Env = append(s.Env, entries...)
	return s
}

// play runs the job and checks that nothing of it stays in the engine.
func (s *subject) play(t *testing.T) (replay.Result, string) {
	t.Helper()
	result := replay.Run(t.Context(), s.Options)
	s.expectNothingLeft(t)
	return result, s.log.String()
}

func (s *subject) expectNothingLeft(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"container ls -a", "network ls", "volume ls"} {
		command := append([]string{"docker"}, strings.Fields(kind)...)
		command = append(command, "-q", "--filter", fmt.Sprintf("label=gitlab-ecr-executor.job.id=%d", s.JobID))
		if left := lines(command...); len(left) > 0 {
			t.Errorf("docker %s: %q left behind", kind, left)
		}
	}
}

// exitCodes returns the exit codes of the processes called name.
func exitCodes(result replay.Result, name string) (codes []int) {
	for _, stage := range result.Stages {
		if stage.Name == name {
			codes = append(codes, stage.ExitCode)
		}
	}
	return codes
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, log string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(log, want) {
			t.Errorf("the job log lacks %q:\n%s", want, log)
		}
	}
}
