// Command run is the run stage of the custom executor: it runs one script of a
// job.
package main

import (
	"context"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/cmd/internal/access"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/dockerops"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/driver"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

func main() {
	driver.Command{
		Name:    "run",
		Summary: "run one script of a job in its container",
		Args:    []string{"SCRIPT", "STAGE"},
		Run: func(ctx context.Context, stage stages.Stage, args []string) error {
			access.Give(&stage)
			engine, err := dockerops.Connect(stage.Log)
			if err != nil {
				return err
			}
			defer engine.Close()
			return stage.Run(ctx, engine, args[0], args[1])
		},
	}.Main()
}
