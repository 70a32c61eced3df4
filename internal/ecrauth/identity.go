package ecrauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// actionWhoAmI needs no permission: AWS answers whomever it knows.
const actionWhoAmI = "sts:GetCallerIdentity"

// IdentityError says why it is not known who the runner is to AWS.
type IdentityError struct {
	// Code is the error code of AWS; "" when AWS gave no answer.
	Code string
	Err  error
	// sent says that there were credentials to ask with.
	sent bool
}

func (e *IdentityError) Error() string {
	text := "asking AWS who this runner is (" + actionWhoAmI + "): "
	if e.Code != "" {
		text += e.Code + ": "
	}
	return text + apiMessage(e.Err)
}

func (e *IdentityError) Unwrap() error { return e.Err }

// Unreachable reports that STS gave no answer. ECR may do all the same: a
// private network often has an endpoint for the one and not for the other.
func (e *IdentityError) Unreachable() bool { return e.sent && e.Code == "" }

// Identity returns the ARN of the runner's own identity, which the AWS SDK's
// default chain finds, and where its credentials are from. The first of hosts
// that is an ECR registry says which region's STS to ask; without one, the AWS
// configuration does, or it is that of us-east-1. Its errors are *IdentityError.
func (k *Keychain) Identity(ctx context.Context, hosts []string) (arn, source string, err error) {
	const patience = 10 * time.Second // somebody sits in front of it
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	var f fetch
	for _, host := range hosts {
		if registry, ok := k.registry(host); ok {
			f.registry = Registry{Region: registry.Region}
			break
		}
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return "", "", f.unknown(err, false)
	}
	if cfg.Region == "" {
		cfg.Region = publicRegion
	}
	f.registry.Region = cfg.Region
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", "", f.unknown(&noCredentials{err}, false)
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", f.unknown(err, true)
	}
	return aws.ToString(out.Arn), credentials.Source, nil
}

func (f *fetch) unknown(err error, sent bool) error {
	e := &IdentityError{Err: err, sent: sent}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = api.ErrorCode()
	}
	next := f.remedy(&Error{Region: f.registry.Region, Action: actionWhoAmI, Code: e.Code, Err: err})
	if e.Unreachable() {
		next = fmt.Sprintf("check the route, DNS and proxy of the host, or add the VPC endpoint com.amazonaws.%s.sts", f.registry.Region)
	}
	return failure.System(e, next)
}
