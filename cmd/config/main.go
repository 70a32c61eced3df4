// Command config is the config stage of the custom executor: it tells GitLab
// Runner where the job's folders are.
package main

import (
	"context"
	"os"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/driver"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/stages"
)

func main() {
	driver.Command{
		Name:    "config",
		Summary: "tell GitLab Runner where the job's folders are",
		Run: func(_ context.Context, stage stages.Stage, _ []string) error {
			return stage.Config(os.Stdout)
		},
	}.Main()
}
