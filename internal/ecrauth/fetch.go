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
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
)

// fetchTimeout bounds all calls for a token with their retries and the search
// for credentials; publicTimeout the same where a token is not needed.
const (
	fetchTimeout  = 30 * time.Second
	publicTimeout = 5 * time.Second
)

// fetch is one attempt to get a token.
type fetch struct {
	registry Registry
	id       identity
	// caller is what is known of who calls AWS: an ARN, or where the
	// credentials are from.
	caller string
}

// fetchToken gets a token as id. Its errors are *Error with a verdict.
func fetchToken(ctx context.Context, registry Registry, id identity) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()

	f := fetch{registry: registry, id: id}
	action := f.registry.actions()[0]
	cfg, err := f.config(ctx)
	if err != nil {
		return token{}, f.fail(action, err)
	}
	if id.web == "" {
		found, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return token{}, f.fail(action, &noCredentials{err})
		}
		f.caller = "the runner's " + found.Source
	}
	if id.role != nil {
		if err := f.assume(ctx, &cfg); err != nil {
			return token{}, err
		}
	}
	t, err := f.authorize(ctx, cfg)
	if err != nil {
		return token{}, f.fail(action, err)
	}
	return t, nil
}

// authorize asks the registry's API for a token.
func (f *fetch) authorize(ctx context.Context, cfg aws.Config) (token, error) {
	if f.registry.Public {
		out, err := ecrpublic.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
		if err != nil {
			return token{}, err
		}
		if out.AuthorizationData == nil {
			return token{}, errNotAToken
		}
		return newToken(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt)
	}
	client := ecr.NewFromConfig(cfg)
	if err := checkEmulated(f.registry, client.Options().BaseEndpoint); err != nil {
		return token{}, err
	}
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return token{}, err
	}
	if len(out.AuthorizationData) == 0 {
		return token{}, errNotAToken
	}
	return newToken(out.AuthorizationData[0].AuthorizationToken, out.AuthorizationData[0].ExpiresAt)
}

func newToken(authorization *string, expires *time.Time) (token, error) {
	if authorization == nil || expires == nil {
		return token{}, errNotAToken
	}
	return token{Authorization: *authorization, Expires: *expires}, nil
}

func (f *fetch) config(ctx context.Context) (aws.Config, error) {
	// Where there is no metadata service, packets to it vanish: connections
	// must not wait for the SDK's default of 30 s.
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = 2 * time.Second }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 10 * time.Second })
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(f.registry.Region),
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { // backs off with jitter
				o.MaxAttempts = 4
				o.MaxBackoff = 3 * time.Second
			})
		}),
	}
	if f.id.web != "" {
		// The job's token is all that it takes: the host's credentials are not
		// even looked for.
		opts = append(opts, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if f.registry.FIPS {
		opts = append(opts, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if f.registry.DualStack {
		opts = append(opts, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	return config.LoadDefaultConfig(ctx, opts...)
}

// noCredentials says that the SDK's chain ended without a credential.
type noCredentials struct{ error }

func (n *noCredentials) Unwrap() error { return n.error }
