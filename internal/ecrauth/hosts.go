// Package ecrauth gets credentials for Amazon ECR: one registryauth.Keychain
// with a token cache that all processes of a host share.
package ecrauth

import (
	"regexp"
	"strings"
)

// Registry is an ECR registry.
type Registry struct {
	Host   string
	Region string
	// Account owns the registry; "" when the host does not say.
	Account string
	// FIPS and DualStack say which endpoint of the API belongs to the host.
	FIPS, DualStack bool
	// Public is Amazon ECR Public, which has an API of its own.
	Public bool
	// Emulated says that the host is not Amazon's: a token of Amazon's never
	// leaves for it.
	Emulated bool

	partition partition
}

// partition is a part of AWS with accounts, regions and domains of its own.
type partition struct {
	name         string // as it stands in ARNs
	regionPrefix string
	// suffix ends the names of registries, dualStack those with IPv6; "" where
	// there is none.
	suffix, dualStack string
}

// partitions has the one that every other region belongs to last
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html and
// the partitions of the AWS SDK).
var partitions = []partition{
	{"aws-us-gov", "us-gov-", "amazonaws.com", "on.aws"},
	{"aws-cn", "cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"aws-eusc", "eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
	{"aws-iso", "us-iso-", "c2s.ic.gov", ""},
	{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", ""},
	{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", ""},
	{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", ""},
	{"aws", "", "amazonaws.com", "on.aws"},
}

func partitionOf(region string) partition {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regionPrefix) {
			return p
		}
	}
	return partition{} // not reached: the last prefix is empty
}

// privateHost is account, separator of dkr and ecr, FIPS, region, domain. It is
// matched before letters are lowered: to Unicode, U+212A is a capital k.
var privateHost = regexp.MustCompile(`^([0-9]{12})\.[Dd][Kk][Rr]([.-])[Ee][Cc][Rr](-[Ff][Ii][Pp][Ss])?\.` +
	`([A-Za-z]{2,8}(?:-[A-Za-z]{2,10}){1,3}-[0-9]{1,2})\.([A-Za-z0-9.-]+)$`)

// publicHosts are the names of Amazon ECR Public and whether they have IPv6.
var publicHosts = map[string]bool{"public.ecr.aws": false, "ecr-public.aws.com": true}

// publicRegion is where the API of Amazon ECR Public is.
const publicRegion = "us-east-1"

// longestHost is the longest name that DNS allows.
const longestHost = 253

// ParseHost recognises the host name of a registry of Amazon's. A host with a
// port is none, and so is one whose region and domain belong to different
// partitions: the token would be of the one and leave for the other.
func ParseHost(host string) (Registry, bool) {
	if len(host) > longestHost || !isASCII(host) {
		return Registry{}, false
	}
	lower := strings.ToLower(host)
	if dualStack, ok := publicHosts[lower]; ok {
		return Registry{Host: lower, Region: publicRegion, Public: true, DualStack: dualStack, partition: partitionOf(publicRegion)}, true
	}
	r, suffix, ok := parsePrivate(host)
	if !ok {
		return Registry{}, false
	}
	want := r.partition.suffix
	if r.DualStack {
		want = r.partition.dualStack
	}
	return r, suffix == want && want != ""
}

// parsePrivate takes a private registry's host apart. Whose suffix is, is for
// the caller to judge.
func parsePrivate(host string) (r Registry, suffix string, ok bool) {
	match := privateHost.FindStringSubmatch(host)
	if match == nil {
		return Registry{}, "", false
	}
	region := strings.ToLower(match[4])
	return Registry{
		Host: strings.ToLower(host), Region: region, Account: match[1],
		DualStack: match[2] == "-", FIPS: match[3] != "", partition: partitionOf(region),
	}, strings.ToLower(match[5]), true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// canonical is the one name of a registry that has several: with FIPS, with
// IPv6.
func (r Registry) canonical() string {
	switch {
	case r.Public:
		return "public.ecr.aws"
	case r.Account == "" || r.Emulated:
		return r.Host
	}
	return r.Account + ".dkr.ecr." + r.Region + "." + r.partition.suffix
}

// isAmazon reports whether host is in a domain of Amazon's.
func isAmazon(host string) bool {
	host = "." + strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range partitions {
		for _, domain := range []string{p.suffix, p.dualStack, strings.Replace(p.dualStack, "on.", "api.", 1)} {
			if domain != "" && strings.HasSuffix(host, "."+domain) {
				return true
			}
		}
	}
	return false
}
