// Command bench prints what a job that does nothing costs: wall time, engine
// calls and memory of each stage, and the CPU time of the engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/test/leftover"
)

const (
	rounds      = 7
	helperImage = "gitlab-ecr-executor/test-helper:latest"
)

func main() {
	if err := bench(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sample is one stage of one round.
type sample struct {
	wall   time.Duration
	calls  int
	maxRSS int64
}

func bench(ctx context.Context) (err error) {
	proxy, err := startProxy()
	if err != nil {
		return err
	}
	defer proxy.close()
	binDir, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	project := time.Now().UnixMilli() // nobody else's
	defer func() { err = errors.Join(err, leftover.RemoveVolumes(project)) }()
	var order []string
	samples := map[string][]sample{}
	var walls, cpus []time.Duration
	for round := range rounds + 1 { // the first one warms up
		opts := replay.DefaultOptions()
		opts.Job = replay.Job{Name: "no-op", Image: replay.Image{Name: helperImage}, Script: []string{"true"}, Variables: map[string]string{}}
		opts.BinDir, opts.Log = binDir, io.Discard
		opts.JobID, opts.ProjectID = time.Now().UnixMilli(), project
		opts.Env = append(os.Environ(), "DOCKER_HOST=unix://"+proxy.socket,
			"ECR_EXECUTOR_HELPER_IMAGE="+helperImage, "ECR_EXECUTOR_PULL_POLICY=if-not-present")
		calls := map[string]int{}
		current := ""
		opts.OnStage = func(name string) {
			calls[current] += proxy.reset()
			current = name
		}
		cpu, start := engineCPU(), time.Now()
		result := replay.Run(ctx, opts)
		wall := time.Since(start)
		calls[current] += proxy.reset()
		if result.Err != nil {
			return fmt.Errorf("the job failed: %w", result.Err)
		}
		if round == 0 {
			for _, stage := range result.Stages {
				order = append(order, stage.Name)
			}
			continue
		}
		walls, cpus = append(walls, wall), append(cpus, engineCPU()-cpu)
		for _, stage := range result.Stages {
			samples[stage.Name] = append(samples[stage.Name], sample{stage.Duration, calls[stage.Name], stage.MaxRSS})
		}
	}
	fmt.Printf("A job that does nothing, images present, median of %d:\n\n%-24s %9s %12s %10s\n", rounds, "stage", "wall", "engine calls", "memory")
	for _, name := range order {
		s := samples[name]
		wall := median(s, func(s sample) time.Duration { return s.wall })
		fmt.Printf("%-24s %6d ms %12d %6d MiB\n", name, wall.Milliseconds(), s[len(s)-1].calls, median(s, func(s sample) int64 { return s.maxRSS })>>20)
	}
	same := func(d time.Duration) time.Duration { return d }
	fmt.Printf("%-24s %6d ms\nCPU of dockerd and containerd %d ms\n", "the whole job", median(walls, same).Milliseconds(), median(cpus, same).Milliseconds())
	return dind(ctx, binDir)
}

func median[S any, V time.Duration | int64](samples []S, value func(S) V) V {
	values := make([]V, 0, len(samples))
	for _, s := range samples {
		values = append(values, value(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
