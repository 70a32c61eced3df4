// Command replay plays GitLab Runner's part for one job of a job file: it runs
// the driver's binaries as GitLab Runner would and prints the job log.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := replay.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
