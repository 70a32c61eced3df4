// Command cleanup is the cleanup stage of the custom executor: it removes all
// that a job left in the engine.
package main

import (
	"context"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/dockerops"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/driver"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

func main() {
	driver.Command{
		Name:    "cleanup",
		Summary: "remove all that a job left in the Docker engine",
		Cleanup: true,
		Run: func(ctx context.Context, stage stages.Stage, _ []string) error {
			engine, err := dockerops.Connect(stage.Log)
			if err != nil {
				return err
			}
			defer engine.Close()
			return stage.Cleanup(ctx, engine)
		},
	}.Main()
}
