package ecrauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/smithy-go"
)

// remedy says what to do next.
func (f *fetch) remedy(e *Error) string {
	var missing *noCredentials
	var api smithy.APIError
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.Is(e.Err, errAmazonToken):
		return "set AWS_ENDPOINT_URL_ECR to the emulator's API, or take the host out of ECR_EXECUTOR_ECR_HOSTS: a token of Amazon's goes to Amazon's hosts alone"
	case errors.As(e.Err, &missing) && e.Code == "":
		return "no AWS credentials in the environment of gitlab-runner, its AWS profile, the container or the " +
			"instance metadata service: attach an instance profile to the host, or set AWS_PROFILE"
	case errors.As(e.Err, &api):
		return f.apiRemedy(e)
	case errors.Is(e.Err, context.Canceled):
		return "the job was cancelled meanwhile"
	case errors.As(e.Err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("check the region in the registry's name: DNS knows no API of AWS in %s; if the region is right, check the host's DNS", e.Region)
	case errors.As(e.Err, &network), errors.Is(e.Err, context.DeadlineExceeded):
		return fmt.Sprintf("the API cannot be reached: check the route, DNS, proxy and security groups of the host, or the VPC endpoint com.amazonaws.%s.%s",
			e.Region, map[bool]string{true: "sts", false: "ecr.api"}[e.Role != ""])
	}
	return "check the AWS configuration of the gitlab-runner process"
}

// apiRemedy goes by AWS's error codes. Only a clock and a region that are wrong
// have none of their own: there it goes by what AWS says.
func (f *fetch) apiRemedy(e *Error) string {
	message := apiMessage(e.Err)
	switch code := e.Code; {
	case strings.Contains(message, "valid region"):
		return fmt.Sprintf("the endpoint in use is not of region %s: check AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and the region in the registry's name", e.Region)
	case code == "RequestExpired", code == "RequestTimeTooSkewed",
		strings.Contains(message, "Signature expired"), strings.Contains(message, "Signature not yet current"):
		return "the host's clock is wrong: start chrony or another time service"
	case isDenied(code):
		return f.deniedRemedy(e)
	case e.Action == actionWeb && isExpired(code):
		return "the job's id token has expired: GitLab makes it as long-lived as the job's timeout; check the host's clock, and start the job anew"
	case strings.HasPrefix(code, "InvalidIdentityToken"):
		return fmt.Sprintf("check that IAM in the role's account has an identity provider for this GitLab server with the audience of `id_tokens: %s: aud`, "+
			"and that the job takes %s from id_tokens", f.id.variable, f.id.variable)
	case strings.HasPrefix(code, "IDPRejectedClaim"):
		return "AWS does not take the claims of the job's id token: check `aud` in `id_tokens`"
	case strings.HasPrefix(code, "IDPCommunicationError"):
		return "AWS could not reach the GitLab server for its keys: /.well-known/openid-configuration and /oauth/discovery/keys must be open to the internet"
	case isExpired(code):
		return "the AWS session has expired: renew it, or use an instance profile, which renews itself"
	case code == "UnrecognizedClientException", code == "InvalidClientTokenId", strings.HasSuffix(code, "SignatureException"), code == "SignatureDoesNotMatch":
		return "AWS does not know these keys: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile, and the host's clock"
	case code == "RegionDisabledException":
		return fmt.Sprintf("switch on STS for region %s in the account settings of IAM", e.Region)
	case strings.HasPrefix(code, "MalformedPolicyDocument"), strings.HasPrefix(code, "PackedPolicyTooLarge"):
		return "mend `policy` of this role in ECR_EXECUTOR_ROLES"
	case code == "ValidationError":
		return "check this role and its external id in ECR_EXECUTOR_ROLES"
	case code == "ThrottlingException", code == "Throttling", code == "TooManyRequestsException", code == "RequestLimitExceeded":
		return "AWS limits the calls; share ECR_EXECUTOR_STATE_DIR among the jobs of a host, so that they share a token"
	}
	return "see https://health.aws.amazon.com if it goes on"
}

func (f *fetch) deniedRemedy(e *Error) string {
	switch e.Action {
	case actionWeb:
		return "let the trust policy of the role allow " + actionWeb + " to the identity provider for the sub and aud above; a job on another branch or in another project may not be meant to"
	case actionAssume:
		return "allow " + actionAssume + " on the role for this identity, and let the role's trust policy name it (with the external id, if it asks for one)"
	}
	text := "allow " + strings.Join(f.registry.actions(), " and ") + " on resource * for this identity"
	if !f.registry.Public {
		text += "; the managed policy AmazonEC2ContainerRegistryPullOnly has it"
	}
	if f.id.policy != "" {
		text += "; `policy` in ECR_EXECUTOR_ROLES must allow it too"
	}
	return text
}
