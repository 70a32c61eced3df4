// Package ecrauth gets credentials for Amazon ECR: one registryauth.Keychain
// with a token cache that all processes of a host share.
package ecrauth

import (
	"regexp"
	"strings"
)

// Registry is a private ECR registry.
type Registry struct {
	Host   string
	Region string
	// FIPS and DualStack say which endpoint of the API belongs to the host.
	FIPS, DualStack bool
}

// The host names of private registries in all partitions
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html).
var (
	classicHost = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(-fips)?\.([a-z]{2,8}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2})\.` +
		`(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$`)
	dualStackHost = regexp.MustCompile(`^[0-9]{12}\.dkr-ecr(-fips)?\.([a-z]{2,8}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2})\.` +
		`(?:on\.aws|on\.amazonwebservices\.com\.cn)$`)
)

// ParseHost recognises the host name of a private ECR registry. A host with a
// port is none.
func ParseHost(host string) (Registry, bool) {
	lower := strings.ToLower(host)
	if match := classicHost.FindStringSubmatch(lower); match != nil {
		return Registry{Host: lower, Region: match[2], FIPS: match[1] != ""}, true
	}
	if match := dualStackHost.FindStringSubmatch(lower); match != nil {
		return Registry{Host: lower, Region: match[2], FIPS: match[1] != "", DualStack: true}, true
	}
	return Registry{}, false
}
