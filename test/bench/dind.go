package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

const (
	dindImage    = "gitlab-ecr-executor/test-dind:latest"
	dindRounds   = 5
	pulledImage  = 50 << 20 // bytes
	pullInMillis = `start=$(date +%s%3N); docker pull -q "$IMAGE" >/dev/null; echo "pulled in $(($(date +%s%3N) - start)) ms"`
)

// dind measures jobs with a DinD sidecar.
func dind(ctx context.Context, binDir string) (err error) {
	ecr := ecrtest.Start()
	defer ecr.Close()
	inside, err := ecr.Reach()
	if err != nil {
		return err
	}
	content := make([]byte, pulledImage)
	_, _ = rand.Read(content) // never fails; does not compress
	image, err := ecrtest.Image(v1.Config{}, ecrtest.File{Path: "ballast", Content: content})
	if err != nil {
		return err
	}
	if _, err := ecr.Push(ctx, "ballast", "v1", image); err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "bench-state")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()

	project := time.Now().UnixMilli()
	defer func() { err = errors.Join(err, leftover.RemoveVolumes(project)) }()
	job := func(script string, settings ...string) (wall time.Duration, log string, err error) {
		var out bytes.Buffer
		opts := replay.DefaultOptions()
		opts.Job = replay.Job{
			Name: "dind", Image: replay.Image{Name: dindImage}, Services: []replay.Image{{Name: dindImage}},
			Script: []string{script}, Variables: map[string]string{"IMAGE": inside + "/ballast:v1"},
		}
		opts.BinDir, opts.Log = binDir, &out
		opts.JobID, opts.ProjectID = time.Now().UnixMilli(), project
		opts.Env = append(append(append(os.Environ(), ecr.Env()...),
			"ECR_EXECUTOR_HELPER_IMAGE="+helperImage, "ECR_EXECUTOR_PULL_POLICY=if-not-present", "ECR_EXECUTOR_DIND_IMAGES=**/test-dind:*",
			"ECR_EXECUTOR_DIND_INSECURE_REGISTRIES="+inside, "ECR_EXECUTOR_STATE_DIR="+filepath.Join(state, "state")), settings...)
		start := time.Now()
		if result := replay.Run(ctx, opts); result.Err != nil {
			return 0, "", fmt.Errorf("the job failed: %w\n%s", result.Err, out.String())
		}
		return time.Since(start), out.String(), nil
	}

	var walls, readies []time.Duration
	for round := range dindRounds + 1 {
		wall, log, err := job("docker version >/dev/null")
		if err != nil {
			return err
		}
		ready, err := find(log, `is ready \(([0-9.]+m?s)`)
		if err != nil {
			return err
		}
		if round > 0 { // the first one warms up
			walls, readies = append(walls, wall), append(readies, ready)
		}
	}
	same := func(d time.Duration) time.Duration { return d }
	fmt.Printf("\nA job with a DinD sidecar that runs docker version, median of %d:\n%-24s %6d ms\n%-24s %6d ms\n", dindRounds,
		"service start to ready", median(readies, same).Milliseconds(), "the whole job", median(walls, same).Milliseconds())
	// The first job fills the cache, the second finds it.
	for _, kind := range []string{"cold", "warm"} {
		_, log, err := job(pullInMillis, "ECR_EXECUTOR_DIND_CACHE=project")
		if err != nil {
			return err
		}
		took, err := find(log, `pulled in ([0-9]+) ms`)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %6d ms\n", "pull of 50 MB, "+kind, took.Milliseconds())
	}
	return nil
}

// find returns the duration that pattern finds in log; a bare number is of
// milliseconds.
func find(log, pattern string) (time.Duration, error) {
	match := regexp.MustCompile(pattern).FindStringSubmatch(log)
	if match == nil {
		return 0, fmt.Errorf("the log says nothing like %s:\n%s", pattern, log)
	}
	if n, err := strconv.Atoi(match[1]); err == nil {
		return time.Duration(n) * time.Millisecond, nil
	}
	return time.ParseDuration(match[1])
}
