package ecrauth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// Action is the IAM action that a token for a private registry needs.
const Action = "ecr:GetAuthorizationToken"

// Error says why there is no token for a registry. What to do next is the
// failure.Remedy of the error that wraps it.
type Error struct {
	Registry string
	Region   string
	// Action is the IAM action that failed.
	Action string
	// Role is the ARN of the role to assume; "" when it was not about one.
	Role string
	// Code is the error code of AWS; "" when AWS was not reached.
	Code string
	// Identity is the ARN that AWS refused, or what is known of who called; ""
	// when nothing is.
	Identity string
	Err      error
}

// Error says what failed, on what, for whom and why.
func (e *Error) Error() string {
	text := fmt.Sprintf("getting an ECR token for %s in %s: %s", e.Registry, e.Region, e.Action)
	if e.Role != "" {
		text += " on " + e.Role
	}
	message := apiMessage(e.Err)
	if e.Identity != "" && !strings.Contains(message, e.Identity) {
		text += " by " + e.Identity
	}
	if e.Code != "" {
		text += ": " + e.Code
	}
	return text + ": " + message
}

func (e *Error) Unwrap() error { return e.Err }

func apiMessage(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != "" {
		return api.ErrorMessage()
	}
	return err.Error()
}

// principal is how AWS names who was refused.
var principal = regexp.MustCompile(`arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]+`)

// fail makes an *Error of err, with a verdict and a remedy.
func (f *fetch) fail(action string, err error) error {
	e := &Error{Registry: f.registry.Host, Region: f.registry.Region, Action: action, Identity: f.caller, Err: err}
	if action == actionAssume || action == actionWeb {
		e.Role = f.id.role.ARN
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = api.ErrorCode()
		// The role stands in the message as well, behind who was refused.
		if arn := principal.FindString(api.ErrorMessage()); arn != "" && arn != e.Role {
			e.Identity = arn
		}
	}
	if f.isJobs(e) {
		return failure.Build(e, f.remedy(e))
	}
	return failure.System(e, f.remedy(e))
}

// isJobs reports whether the failure is the job author's: AWS said no to the
// job's own token, and it is the same token in a retry. Trouble of the runner's
// identity, and any that may pass, is the operator's.
func (f *fetch) isJobs(e *Error) bool {
	return e.Action == actionWeb && (isDenied(e.Code) || isExpired(e.Code) || strings.HasPrefix(e.Code, "IDPRejectedClaim"))
}

func isDenied(code string) bool {
	return code == "AccessDeniedException" || code == "AccessDenied" || code == "UnauthorizedOperation"
}

func isExpired(code string) bool { return code == "ExpiredTokenException" || code == "ExpiredToken" }
