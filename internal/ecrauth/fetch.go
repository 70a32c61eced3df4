package ecrauth

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
)

// fetchTimeout bounds a call with its retries and the search for credentials.
const fetchTimeout = 30 * time.Second

// fetchToken calls GetAuthorizationToken with the AWS SDK's default chain of
// credentials. Its errors are *Error.
func fetchToken(ctx context.Context, registry Registry) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()

	// Where there is no metadata service, packets to it vanish: connections
	// must not wait for the SDK's default of 30 s.
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = 2 * time.Second }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 10 * time.Second })
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(registry.Region),
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { // backs off with jitter
				o.MaxAttempts = 4
				o.MaxBackoff = 3 * time.Second
			})
		}),
	}
	if registry.FIPS {
		opts = append(opts, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if registry.DualStack {
		opts = append(opts, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return token{}, newError(registry, err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return token{}, newError(registry, &noCredentials{err})
	}
	out, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return token{}, newError(registry, err)
	}
	if len(out.AuthorizationData) == 0 || out.AuthorizationData[0].ExpiresAt == nil {
		return token{}, newError(registry, errNotAToken)
	}
	data := out.AuthorizationData[0]
	return token{Authorization: aws.ToString(data.AuthorizationToken), Expires: *data.ExpiresAt}, nil
}

// noCredentials says that the SDK's chain ended without a credential.
type noCredentials struct{ error }

func (n *noCredentials) Unwrap() error { return n.error }
