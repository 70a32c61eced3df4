//go:build live

// Package live tries the driver with a real AWS account: `make test-live` with
// LIVE_IMAGE set to a private image that the identity of the environment may
// pull, such as 111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1. The
// image needs a shell. LIVE_PUSH names a repository to push to from a script; it
// needs LIVE_DOCKER_IMAGE and LIVE_DIND_IMAGE (docker:27 and docker:27-dind, say).
package live

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

// need returns a variable of the environment, and skips the test without it.
func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("%s is not set: see the top of this file", name)
	}
	return value
}

func TestToken(t *testing.T) {
	named, err := reference.ParseNormalizedNamed(need(t, "LIVE_IMAGE"))
	if err != nil {
		t.Fatal(err)
	}
	keychain := ecrauth.New(ecrauth.Options{StateDir: t.TempDir(), Warn: t.Logf})
	var first string
	for range 2 { // the second time from the cache
		cred, found, err := keychain.Resolve(t.Context(), named)
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		if cred.Username != "AWS" || time.Until(cred.Expires) < 11*time.Hour {
			t.Errorf("user %s, expires %s: not a token of ECR", cred.Username, cred.Expires)
		}
		if first != "" && cred.Password.Reveal() != first {
			t.Error("the token was fetched twice")
		}
		first = cred.Password.Reveal()
	}
}

// play runs a job with the binaries of `make build`.
func play(t *testing.T, job replay.Job, settings ...string) string {
	t.Helper()
	var log bytes.Buffer
	opts := replay.DefaultOptions()
	opts.Job, opts.Log = job, &log
	var err error
	if opts.BinDir, err = filepath.Abs("../../bin"); err != nil {
		t.Fatal(err)
	}
	opts.JobID = time.Now().UnixMilli()
	opts.ProjectID = opts.JobID
	opts.Env = append(os.Environ(), append(settings, "ECR_EXECUTOR_STATE_DIR="+t.TempDir())...)
	defer func() {
		if err := leftover.RemoveVolumes(opts.ProjectID); err != nil {
			t.Error(err)
		}
	}()
	if result := replay.Run(t.Context(), opts); result.Err != nil {
		t.Fatalf("the job failed: %v\n%s", result.Err, log.String())
	}
	return log.String()
}

func TestJobInAPrivateImage(t *testing.T) {
	job := replay.Job{Name: "live", Image: replay.Image{Name: need(t, "LIVE_IMAGE")}, Script: []string{"echo it runs"}, Variables: map[string]string{}}
	if log := play(t, job); !strings.Contains(log, "with credentials from Amazon ECR") || !strings.Contains(log, "\nit runs\n") {
		t.Errorf("log:\n%s", log)
	}
}

func TestPushFromAScript(t *testing.T) {
	job := replay.Job{
		Name: "live", Image: replay.Image{Name: need(t, "LIVE_DOCKER_IMAGE")}, Services: []replay.Image{{Name: need(t, "LIVE_DIND_IMAGE")}},
		Variables: map[string]string{"FROM_IMAGE": need(t, "LIVE_IMAGE"), "TO_IMAGE": need(t, "LIVE_PUSH") + ":live-test"},
		Script: []string{
			`printf 'FROM %s\nLABEL live=test\n' "$FROM_IMAGE" | docker build -t "$TO_IMAGE" -`,
			`docker push "$TO_IMAGE"`,
		},
	}
	if log := play(t, job); !strings.Contains(log, "live-test: digest: sha256:") {
		t.Errorf("log:\n%s", log)
	}
}
