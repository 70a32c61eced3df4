package ecrauth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// PolicyPull is a session policy that leaves a role no more than to pull the
// repositories that it is for.
const PolicyPull = "pull"

// pullActions are those of AWS's managed AmazonEC2ContainerRegistryPullOnly and
// the one that older clients ask for.
var pullActions = []string{
	"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:BatchImportUpstreamImage",
}

type statement struct {
	Effect   string
	Action   []string
	Resource []string
}

// sessionPolicy returns the policy of a session of the role, "" for none.
func (r *Role) sessionPolicy(registry Registry) (string, error) {
	if r.Policy != PolicyPull {
		return r.Policy, nil
	}
	statements := []statement{{"Allow", registry.actions(), []string{"*"}}}
	if !registry.Public { // whose repositories need no permission
		_, glob, _ := strings.Cut(r.Repositories, "/")
		patterns, ok := iamPatterns(glob)
		if !ok {
			return "", failure.System(fmt.Errorf("role %s for %q: policy pull knows only * and a few ** in repositories", r.ARN, r.Repositories), rolesRemedy)
		}
		account := registry.Account
		if account == "" {
			account = "*" // an emulator's
		}
		for i := range patterns {
			patterns[i] = fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", registry.partition.name, registry.Region, account, patterns[i])
		}
		statements = append(statements, statement{"Allow", pullActions, patterns})
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	return string(policy), err
}

// mostPatterns keeps a policy within STS's 2048 characters.
const mostPatterns = 8

// iamPatterns writes a glob as IAM does. There, * does not stop at a slash, and
// a/** is not a as well: that takes a pattern of its own. What IAM has no word
// for is refused rather than widened.
func iamPatterns(glob string) ([]string, bool) {
	if glob == "" || strings.ContainsAny(glob, `[]{}\?`) {
		return nil, false
	}
	patterns := []string{""}
	for i, part := range strings.Split(glob, "/") {
		var longer []string
		for _, pattern := range patterns {
			separator := "/"
			if i == 0 || pattern == "" {
				separator = ""
			}
			if part == "**" {
				longer = append(longer, pattern)
			}
			longer = append(longer, pattern+separator+strings.ReplaceAll(part, "**", "*"))
		}
		patterns = longer
	}
	patterns = slices.DeleteFunc(patterns, func(pattern string) bool { return pattern == "" })
	return patterns, len(patterns) <= mostPatterns
}

// actions are the IAM actions that a token needs.
func (r Registry) actions() []string {
	if r.Public {
		return []string{"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}
	}
	return []string{Action}
}
