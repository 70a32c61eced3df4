package ecrauth

import (
	"regexp"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	accepted := map[string]Registry{
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com":                     {Region: "eu-west-1"},
		"111122223333.DKR.ECR.EU-WEST-1.AMAZONAWS.COM":                     {Region: "eu-west-1"},
		"111122223333.dkr.ecr.ap-southeast-7.amazonaws.com":                {Region: "ap-southeast-7"},
		"111122223333.dkr.ecr.us-gov-west-1.amazonaws.com":                 {Region: "us-gov-west-1"},
		"111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com":            {Region: "us-gov-west-1", FIPS: true},
		"111122223333.dkr.ECR-FIPS.us-east-1.amazonaws.com":                {Region: "us-east-1", FIPS: true},
		"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn":                 {Region: "cn-north-1"},
		"111122223333.dkr.ecr.eusc-de-east-1.amazonaws.eu":                 {Region: "eusc-de-east-1"},
		"111122223333.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu":      {Region: "eusc-de-east-1", DualStack: true},
		"111122223333.dkr.ecr.us-iso-east-1.c2s.ic.gov":                    {Region: "us-iso-east-1"},
		"111122223333.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":                {Region: "us-isob-east-1"},
		"111122223333.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":               {Region: "eu-isoe-west-1"},
		"111122223333.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":              {Region: "us-isof-south-1"},
		"111122223333.dkr-ecr.ap-southeast-2.on.aws":                       {Region: "ap-southeast-2", DualStack: true},
		"111122223333.dkr-ecr.us-gov-east-1.on.aws":                        {Region: "us-gov-east-1", DualStack: true},
		"111122223333.dkr-ecr-fips.us-east-1.on.aws":                       {Region: "us-east-1", DualStack: true, FIPS: true},
		"111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn":      {Region: "cn-north-1", DualStack: true},
		"111122223333.dkr-ecr-fips.cn-north-1.on.amazonwebservices.com.cn": {Region: "cn-north-1", DualStack: true, FIPS: true},
		"public.ecr.aws":     {Region: "us-east-1", Public: true},
		"Public.ECR.aws":     {Region: "us-east-1", Public: true},
		"ecr-public.aws.com": {Region: "us-east-1", Public: true, DualStack: true},
	}
	for host, want := range accepted {
		want.Host, want.partition = strings.ToLower(host), partitionOf(want.Region)
		if !want.Public {
			want.Account = "111122223333"
		}
		if got, ok := ParseHost(host); !ok || got != want {
			t.Errorf("ParseHost(%q) = %+v, %v; want %+v", host, got, ok, want)
		}
	}
	for what, hosts := range map[string][]string{
		"nothing, or somebody else": {"", ".", "docker.io", "localhost", "amazonaws.com", "aws"},
		"account": {
			"11112222333.dkr.ecr.eu-west-1.amazonaws.com", "1111222233334.dkr.ecr.eu-west-1.amazonaws.com",
			"dkr.ecr.eu-west-1.amazonaws.com", "11112222333x.dkr.ecr.eu-west-1.amazonaws.com",
		},
		"suffix": {
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example", "111122223333.dkr.ecr.eu-west-1.amazonaws.com-evil.example",
			"111122223333.dkr.ecr.eu-west-1.amazonaws.community", "111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn.evil",
			"111122223333.dkr.ecr.eu-west-1.amazonaws.co", "111122223333.dkr.ecr.eu-west-1.evilamazonaws.com",
			"111122223333.dkr.ecr.eu-west-1.evil.amazonaws.com", "111122223333.dkr-ecr.eu-west-1.on.aws.evil.example",
			"111122223333.dkr-ecr.eu-west-1.on.awsevil", "public.ecr.aws.evil.example", "public.ecr.awsx", "ecr-public.aws.com.evil.example",
			"111122223333.dkr.ecr.us-east-1.localhost.localstack.cloud",
		},
		"prefix": {
			"evil.example.111122223333.dkr.ecr.eu-west-1.amazonaws.com", "evil-111122223333.dkr.ecr.eu-west-1.amazonaws.com",
			"evil.public.ecr.aws", "evilpublic.ecr.aws", "x.ecr-public.aws.com", "-111122223333.dkr.ecr.eu-west-1.amazonaws.com",
		},
		"port": {
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com:443", "111122223333.dkr.ecr.eu-west-1.amazonaws.com:5000",
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com:", "public.ecr.aws:443",
		},
		"userinfo, scheme, path": {
			"user@111122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.amazonaws.com@evil.example",
			"https://111122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/",
			"evil.example/111122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.amazonaws.com?x", "public.ecr.aws#",
			`evil.example\111122223333.dkr.ecr.eu-west-1.amazonaws.com`, "111122223333.dkr.ecr.eu-west-1.amazonaws.com%2eevil.example",
		},
		"dots and spaces": {
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com.", "public.ecr.aws.", "111122223333.dkr.ecr.eu-west-1.amazonaws.com\n",
			" 111122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr..amazonaws.com", "111122223333..dkr.ecr.eu-west-1.amazonaws.com",
			"111122223333.dkr.ecr.eu-west-1xamazonaws.com", "111122223333xdkr.ecr.eu-west-1.amazonaws.com", "public.ecr.aws\x00",
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com\nevil.example", "publicxecr.aws",
		},
		"region": {
			"111122223333.dkr.ecr.evil.amazonaws.com", "111122223333.dkr.ecr.eu-west-.amazonaws.com", "111122223333.dkr.ecr.eu-west-100.amazonaws.com",
			"111122223333.dkr.ecr.-west-1.amazonaws.com", "111122223333.dkr.ecr.eu_west-1.amazonaws.com",
		},
		"another partition": {
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn", "111122223333.dkr.ecr.cn-north-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.amazonaws.eu",
			"111122223333.dkr.ecr.us-iso-east-1.amazonaws.com", "111122223333.dkr.ecr.us-isob-east-1.c2s.ic.gov", "111122223333.dkr-ecr.cn-north-1.on.aws",
		},
		"dual stack": {
			"111122223333.dkr-ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.on.aws", "111122223333.dkr-ecr.us-iso-east-1.c2s.ic.gov",
			"111122223333.dkr-ecr.us-iso-east-1.", "111122223333.dkr_ecr.eu-west-1.on.aws",
		},
		"unicode": {
			"１11122223333.dkr.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.аmazonaws.com", "111122223333.dkr.ecr.eu-weſt-1.amazonaws.com",
			"111122223333.d\u212Ar.ecr.eu-west-1.amazonaws.com", "111122223333.dkr.ecr.eu-west-1.amazonaws。com", "public.ecr.aw\u017F",
			"111122223333.dkr.ecr.eu-west-1.amazonaws.com\u200b", "111122223333.dkr.ecr.eu-west-1.amazonaws.com\xff",
		},
		"length": {
			"111122223333.dkr.ecr.eu-west-1." + strings.Repeat("amazonaws.", 1000) + "com", strings.Repeat("1", 1<<20) + ".dkr.ecr.eu-west-1.amazonaws.com",
			"111122223333.dkr.ecr." + strings.Repeat("a-", 1<<16) + "1.amazonaws.com",
		},
	} {
		for _, host := range hosts {
			if got, ok := ParseHost(host); ok {
				t.Errorf("%s: ParseHost(%.100q) = %+v: a token would leave for it", what, host, got)
			}
		}
	}
}

func TestLocalStackNames(t *testing.T) {
	const host = "000000000000.dkr.ecr.us-east-1.localhost.localstack.cloud"
	for _, tt := range []struct {
		host, endpoint string
		want           bool
	}{
		{host + ":4566", "http://localhost.localstack.cloud:4566", true},
		{host + ":4566", "http://ecr.us-east-1.localhost.localstack.cloud:4566/", true},
		{strings.ToUpper(host) + ":4566", "http://LOCALHOST.localstack.cloud:4566", true},
		{host, "https://localhost.localstack.cloud", true},
		{host + ":80", "http://localhost.localstack.cloud", true},

		{host + ":4566", "", false}, // Amazon's own API
		{host + ":4566", "https://api.ecr.us-east-1.amazonaws.com:4566", false},
		{host + ":4566", "https://vpce-1.api.ecr.us-east-1.vpce.amazonaws.com:4566", false},
		{host + ":4566", "http://127.0.0.1:4566", false}, // may be a proxy to Amazon's
		{host + ":4566", "http://localhost.localstack.cloud:4567", false},
		{host, "http://localhost.localstack.cloud:4566", false},
		{host + ":4566", "http://localhost.localstack.cloud.evil.example:4566", false},
		{host + ":4566", "http://localhost.localstack.cloud@evil.example:4566", false},
		{host + ":4566", "http://evillocalhost.localstack.cloud:4566", false},
		{host + ".evil.example:4566", "http://localhost.localstack.cloud:4566", false},
		{"evil.localhost.localstack.cloud:4566", "http://localhost.localstack.cloud:4566", false},
		{"000000000000.dkr.ecr.us-east-1.localhost.localstac\u212A.cloud:4566", "http://localhost.localstack.cloud:4566", false},
		{"111122223333.dkr.ecr.eu-west-1.amazonaws.com:4566", "http://localhost.localstack.cloud:4566", false},
	} {
		got, ok := parseLocalStack(tt.host, tt.endpoint)
		if ok != tt.want || ok && (!got.Emulated || got.Host != strings.ToLower(tt.host) || got.Region != "us-east-1") {
			t.Errorf("parseLocalStack(%q, %q) = %+v, %v; want %v", tt.host, tt.endpoint, got, ok, tt.want)
		}
	}
}

func TestCanonicalNames(t *testing.T) {
	for host, want := range map[string]string{
		"111122223333.dkr-ecr-fips.us-east-1.on.aws":            "111122223333.dkr.ecr.us-east-1.amazonaws.com",
		"111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com": "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com",
		"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn":      "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"ECR-PUBLIC.aws.com":                                    "public.ecr.aws",
	} {
		if registry, _ := ParseHost(host); registry.canonical() != want {
			t.Errorf("%s is %s, want %s", host, registry.canonical(), want)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	f.Add("111122223333.dkr.ecr.eu-west-1.amazonaws.com")
	f.Add("111122223333.dkr-ecr-fips.us-east-1.on.aws")
	f.Add("111122223333.DKR.ecr.eu-west-1.amazonaws.com")
	f.Add("111122223333.d\u212Ar.ecr.eu-west-1.amazonaws.com")
	f.Add("ecr-public.aws.com")
	// What a token may leave for, written down once more.
	safe := regexp.MustCompile(`^(?:[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|` +
		`sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)|[0-9]{12}\.dkr-ecr(?:-fips)?\.[a-z0-9-]+\.on\.(?:aws|amazonwebservices\.com\.cn|` +
		`amazonwebservices\.eu)|public\.ecr\.aws|ecr-public\.aws\.com)$`)
	f.Fuzz(func(t *testing.T, host string) {
		registry, ok := ParseHost(host)
		if !ok {
			return
		}
		if !safe.MatchString(registry.Host) || len(registry.Host) != len(host) || registry.Emulated {
			t.Errorf("ParseHost(%q) = %+v", host, registry)
		}
		for i := range len(host) {
			if host[i] >= 0x80 { // what the registry is asked for is host, not Registry.Host
				t.Fatalf("ParseHost accepts %q", host)
			}
		}
	})
}
