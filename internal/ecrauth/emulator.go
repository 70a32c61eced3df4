package ecrauth

import (
	"errors"
	"net/url"
	"os"
	"strings"
)

// localStack is the domain that LocalStack names its registries in. The name
// leads to the machine that asks, whoever listens there.
const localStack = "localhost.localstack.cloud"

// parseLocalStack recognises <account>.dkr.ecr.<region>.localhost.localstack.cloud
// when endpoint, the URL of the ECR API, is in the same domain and has the same
// port. Amazon's API is never at that name: so the token came from the very
// listener that it goes back to. An emulator at any other address is for the
// operator to name (Options.Hosts).
func parseLocalStack(host, endpoint string) (Registry, bool) {
	name, port, hasPort := strings.Cut(host, ":")
	if !hasPort {
		port = "443"
	}
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" || len(host) > longestHost {
		return Registry{}, false
	}
	api := "." + strings.ToLower(u.Hostname())
	apiPort := u.Port()
	if apiPort == "" {
		apiPort = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	r, suffix, ok := parsePrivate(name)
	if !ok || suffix != localStack || r.DualStack || r.FIPS || port != apiPort || !strings.HasSuffix(api, "."+localStack) {
		return Registry{}, false
	}
	r.Host, r.Emulated = strings.ToLower(host), true
	return r, true
}

// apiEndpoint is the URL that the environment gives for the ECR API, "" for
// Amazon's own.
func apiEndpoint() string {
	if strings.EqualFold(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return ""
	}
	if u := os.Getenv("AWS_ENDPOINT_URL_ECR"); u != "" {
		return u
	}
	return os.Getenv("AWS_ENDPOINT_URL")
}

// errAmazonToken keeps a token of Amazon's from a host that is not.
var errAmazonToken = errors.New("the host is not Amazon's, but the ECR API would be")

// checkEmulated makes sure that a token for an emulator comes from an emulator.
// endpoint is the one that the AWS SDK has chosen, nil when it takes Amazon's.
func checkEmulated(registry Registry, endpoint *string) error {
	if !registry.Emulated {
		return nil
	}
	if endpoint == nil {
		return errAmazonToken
	}
	if u, err := url.Parse(*endpoint); err != nil || u.Hostname() == "" || isAmazon(u.Hostname()) {
		return errAmazonToken
	}
	return nil
}
