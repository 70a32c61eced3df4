package plan

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// through rewrites an image of an upstream registry to the repository that ECR
// fills from there (pull-through cache): registry and prefix change, repository,
// tag and digest stay. Official images of Docker Hub keep their library/.
func (i Image) through(s settings.Settings) (Image, error) {
	named, err := reference.ParseNormalizedNamed(i.Name)
	if err != nil {
		return i, err // imageName has parsed it before
	}
	upstream := reference.Domain(named)
	prefix, ok := s.PullThrough[upstream]
	if !ok {
		return i, nil
	}
	if _, err := reference.ParseNormalizedNamed(strings.TrimSuffix(prefix, "/") + "/x"); err != nil || !strings.Contains(prefix, ".") {
		return i, failure.System(fmt.Errorf("ECR_EXECUTOR_PULL_THROUGH: %s=%s is no registry with a prefix", upstream, prefix),
			"write it as docker.io=111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub")
	}
	rewritten := strings.TrimSuffix(prefix, "/") + "/" + strings.TrimPrefix(named.String(), upstream+"/")
	if _, err := reference.ParseNormalizedNamed(rewritten); err != nil { // too long, with the prefix
		return i, failure.Build(fmt.Errorf("image %s, through %s: %w", i.Name, prefix, err), "")
	}
	i.Upstream, i.Name = i.Name, rewritten
	return i, nil
}
