package ecrauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"

	"github.com/aws/smithy-go"
)

// Action is the IAM action that a token needs.
const Action = "ecr:GetAuthorizationToken"

// Error says why there is no token for a registry.
type Error struct {
	Registry string
	Region   string
	// Code is the error code of AWS; "" when AWS was not reached.
	Code string
	// Identity is the ARN that AWS refused; "" when AWS did not say.
	Identity string
	Err      error
	next     string
}

// Error says what failed, on what, why, and what to do next.
func (e *Error) Error() string {
	text := fmt.Sprintf("getting an ECR token for %s in %s (%s): ", e.Registry, e.Region, Action)
	switch {
	case e.Code != "" && e.Identity != "":
		text += fmt.Sprintf("%s: %s may not do that", e.Code, e.Identity)
	case e.Code != "":
		text += fmt.Sprintf("%s: %v", e.Code, apiMessage(e.Err))
	default:
		text += e.Err.Error()
	}
	return text + "\n  " + e.next
}

func (e *Error) Unwrap() error { return e.Err }

func apiMessage(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return err.Error()
}

// principal is how AWS names who was refused.
var principal = regexp.MustCompile(`arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]+`)

func newError(registry Registry, err error) *Error {
	e := &Error{Registry: registry.Host, Region: registry.Region, Err: err}
	var missing *noCredentials
	var api smithy.APIError
	var network net.Error
	switch {
	case errors.As(err, &missing):
		e.next = "no AWS credentials in the environment of gitlab-runner, its AWS profile, the container or the " +
			"instance metadata service: attach an instance profile to the host, or set AWS_PROFILE"
	case errors.As(err, &api):
		e.Code = api.ErrorCode()
		e.Identity = principal.FindString(api.ErrorMessage())
		e.next = nextFor(e.Code)
	case errors.Is(err, context.Canceled):
		e.next = "the job was cancelled meanwhile"
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		e.next = "the ECR API cannot be reached: check the route, DNS, proxy and security groups of the host, or the VPC endpoint com.amazonaws." +
			registry.Region + ".ecr.api"
	default:
		e.next = "check the AWS configuration of the gitlab-runner process"
	}
	return e
}

func nextFor(code string) string {
	switch code {
	case "AccessDeniedException", "AccessDenied":
		return "allow " + Action + " on resource * for this identity; the managed policy AmazonEC2ContainerRegistryPullOnly has it"
	case "ExpiredTokenException", "ExpiredToken":
		return "the AWS session has expired: renew it, or use an instance profile, which renews itself"
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignatureException":
		return "AWS does not know these keys: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile, and the host's clock"
	case "RequestExpired", "RequestTimeTooSkewed":
		return "the host's clock is wrong: start chrony or another time service"
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded":
		return "AWS limits the calls; share ECR_EXECUTOR_STATE_DIR among the jobs of a host, so that they share a token"
	default:
		return "see https://health.aws.amazon.com if it goes on"
	}
}
