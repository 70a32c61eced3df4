// Command prepare is the prepare stage of the custom executor: it pulls the
// job's images and starts what its scripts need.
package main

import (
	"context"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/cmd/internal/access"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/dockerops"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/driver"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/private"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

func main() {
	driver.Command{
		Name:    "prepare",
		Summary: "pull the job's images and start what its scripts need",
		Run: func(ctx context.Context, stage stages.Stage, _ []string) error {
			access.Give(&stage)
			engine, err := dockerops.Connect(stage.Log)
			if err != nil {
				return err
			}
			defer engine.Close()
			engine.Private = private.In(stage.Settings.StateDir)
			return stage.Prepare(ctx, engine)
		},
	}.Main()
}
