package ecrauth

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const (
	actionAssume = "sts:AssumeRole"
	actionWeb    = "sts:AssumeRoleWithWebIdentity"
)

var errNoSession = errors.New("the answer has no credentials")

// assume makes cfg a session of the role. Its credentials stay in memory.
func (f *fetch) assume(ctx context.Context, cfg *aws.Config) error {
	var session *types.Credentials
	var user *types.AssumedRoleUser
	var err error
	client, action := sts.NewFromConfig(*cfg), actionAssume
	name, role := aws.String(f.id.job.sessionName()), aws.String(f.id.role.ARN)
	var policy, externalID *string
	if f.id.policy != "" {
		policy = &f.id.policy
	}
	if f.id.role.ExternalID != "" {
		externalID = &f.id.role.ExternalID
	}
	if f.id.web != "" {
		action, f.caller = actionWeb, f.id.webCaller()
		var out *sts.AssumeRoleWithWebIdentityOutput
		out, err = client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: role, RoleSessionName: name, Policy: policy, WebIdentityToken: aws.String(f.id.web.Reveal()),
		})
		if err == nil {
			session, user = out.Credentials, out.AssumedRoleUser
		}
	} else {
		var out *sts.AssumeRoleOutput
		out, err = client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role, RoleSessionName: name, Policy: policy, ExternalId: externalID})
		if err == nil {
			session, user = out.Credentials, out.AssumedRoleUser
		}
	}
	if err == nil && (session == nil || aws.ToString(session.AccessKeyId) == "") {
		err = errNoSession
	}
	if err != nil {
		return f.fail(action, err)
	}
	cfg.Credentials = credentials.NewStaticCredentialsProvider(
		aws.ToString(session.AccessKeyId), aws.ToString(session.SecretAccessKey), aws.ToString(session.SessionToken))
	f.caller = f.id.role.ARN
	if user != nil && user.Arn != nil {
		f.caller = *user.Arn
	}
	return nil
}
