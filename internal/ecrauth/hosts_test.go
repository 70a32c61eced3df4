package ecrauth

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	accepted := map[string]Registry{
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com":                {Region: "eu-west-1"},
		"111122223333.DKR.ECR.EU-WEST-1.AMAZONAWS.COM":                {Region: "eu-west-1"},
		"111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       {Region: "us-gov-west-1", FIPS: true},
		"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn":            {Region: "cn-north-1"},
		"111122223333.dkr.ecr.eusc-de-east-1.amazonaws.eu":            {Region: "eusc-de-east-1"},
		"111122223333.dkr.ecr.us-iso-east-1.c2s.ic.gov":               {Region: "us-iso-east-1"},
		"111122223333.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           {Region: "us-isob-east-1"},
		"111122223333.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          {Region: "eu-isoe-west-1"},
		"111122223333.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         {Region: "us-isof-south-1"},
		"111122223333.dkr-ecr.ap-southeast-2.on.aws":                  {Region: "ap-southeast-2", DualStack: true},
		"111122223333.dkr-ecr-fips.us-east-1.on.aws":                  {Region: "us-east-1", DualStack: true, FIPS: true},
		"111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {Region: "cn-north-1", DualStack: true},
	}
	for host, want := range accepted {
		want.Host = strings.ToLower(host)
		if got, ok := ParseHost(host); !ok || got != want {
			t.Errorf("ParseHost(%q) = %+v, %v; want %+v", host, got, ok, want)
		}
	}
	for _, host := range []string{
		"",
		"docker.io",
		"public.ecr.aws",
		"11112222333.dkr.ecr.eu-west-1.amazonaws.com",
		"1111222233334.dkr.ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
		"evil.example.111122223333.dkr.ecr.eu-west-1.amazonaws.com",
		"evil-111122223333.dkr.ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com:443",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com:5000",
		"user@111122223333.dkr.ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com/",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com.",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com\n",
		"111122223333.dkr.ecr.eu-west-1.evil.amazonaws.com",
		"111122223333.dkr.ecr.evil.amazonaws.com",
		"111122223333.dkr.ecr..amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn.evil",
		"111122223333.dkr.ecr.eu-west-1xamazonaws.com",
		"111122223333xdkr.ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr-ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.on.aws",
		"１11122223333.dkr.ecr.eu-west-1.amazonaws.com",
		"111122223333.dkr.ecr.eu-west-1.аmazonaws.com",
		"111122223333.dkr.ecr.eu-weſt-1.amazonaws.com",
	} {
		if got, ok := ParseHost(host); ok {
			t.Errorf("ParseHost(%q) = %+v: a token would leave for it", host, got)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	f.Add("111122223333.dkr.ecr.eu-west-1.amazonaws.com")
	f.Add("111122223333.dkr-ecr-fips.us-east-1.on.aws")
	f.Fuzz(func(t *testing.T, host string) {
		registry, ok := ParseHost(host)
		if !ok {
			return
		}
		if strings.ContainsAny(registry.Host, "/@: \n\t") || !strings.Contains(registry.Host, "."+registry.Region+".") ||
			registry.Host != strings.ToLower(host) {
			t.Errorf("ParseHost(%q) = %+v", host, registry)
		}
		for _, r := range registry.Host {
			if r > 127 {
				t.Errorf("ParseHost(%q) accepts %q", host, r)
			}
		}
	})
}
