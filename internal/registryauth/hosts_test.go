package registryauth

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

const ecrHost = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"

func TestHosts(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":                        {"", nil},
		"a word":                         {"hello", nil},
		"a host":                         {ecrHost, []string{ecrHost}},
		"an image":                       {ecrHost + "/group/app:1.2", []string{ecrHost}},
		"an image by digest":             {ecrHost + "/app@sha256:0123456789", []string{ecrHost}},
		"an image of Docker Hub":         {"group/app:1.2", nil},
		"a port":                         {"localhost:5000/app", []string{"localhost:5000"}},
		"an address":                     {"127.0.0.1:5000/app", []string{"127.0.0.1:5000"}},
		"a URL":                          {"https://" + ecrHost + "/v2/", []string{ecrHost}},
		"another scheme":                 {"base=docker-image://" + ecrHost + "/app", []string{ecrHost}},
		"a user and password":            {"https://AWS:pass@" + ecrHost + "/v2/", []string{ecrHost}},
		"upper case":                     {"R.Example/App", []string{"r.example"}},
		"lists":                          {"a.example,b.example;c.example|d.example\te.example\u00a0f.example", []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}},
		"each once, in order":            {"b.example a.example B.example/x b.example", []string{"b.example", "a.example"}},
		"JSON":                           {`{"auths":{"` + ecrHost + `":{"auth":""},"r.example:5000":{}}}`, []string{ecrHost, "r.example:5000"}},
		"JSON in a string":               {`"{\"` + ecrHost + `\":\"ecr-login\"}"`, []string{ecrHost}},
		"YAML":                           {ecrHost + ":\n  image: r.example/app", []string{ecrHost, "r.example"}},
		"a script":                       {"docker login -u AWS " + ecrHost + " && docker build --cache-from=type=registry,ref=r.example/app:cache .", []string{ecrHost, "r.example"}},
		"an assignment":                  {"IMAGE='" + ecrHost + "/app'", []string{ecrHost}},
		"a variable before":              {"${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app", nil},
		"text on the left":               {"x" + ecrHost, []string{"x" + ecrHost}},
		"a subdomain":                    {"evil." + ecrHost, []string{"evil." + ecrHost}},
		"a superdomain":                  {ecrHost + ".evil.example/app", []string{ecrHost + ".evil.example"}},
		"a port on ECR":                  {ecrHost + ":443/app", []string{ecrHost + ":443"}},
		"a port that is none":            {ecrHost + ":latest", nil},
		"a port out of range":            {ecrHost + ":443443", nil},
		"a user":                         {ecrHost + "@evil.example/app", []string{"evil.example"}},
		"a user and password of a URL":   {"https://" + ecrHost + ":443@evil.example/", []string{"evil.example"}},
		"an escaped @":                   {ecrHost + "%40evil.example", nil},
		"a path":                         {"evil.example/" + ecrHost + "/app", []string{"evil.example"}},
		"a path of a URL":                {"https://evil.example/" + ecrHost, []string{"evil.example"}},
		"a URL in a path":                {"https://evil.example/https://" + ecrHost, []string{"evil.example"}},
		"a path that ends like a scheme": {"evil.example/x://" + ecrHost, []string{"evil.example"}},
		"a query":                        {"https://evil.example?" + ecrHost, []string{"evil.example"}},
		"a fragment":                     {"https://evil.example#" + ecrHost, []string{"evil.example"}},
		"a user of another URL":          {"https://evil.example@" + ecrHost, []string{ecrHost}},
		"underscore":                     {"evil_" + ecrHost, nil},
		"a dash at the end of a label":   {ecrHost + "-.evil.example", nil},
		"a dot at the end":               {ecrHost + "./app", []string{ecrHost + "."}},
		"two dots":                       {ecrHost + "..evil.example", nil},
		"a dot before":                   {"." + ecrHost, nil},
		"another alphabet":               {"111122223333.dkr.ecr.eu-west-1.аmazonaws.com", nil},
		"another alphabet after":         {ecrHost + "ь.example", nil},
		"another alphabet before":        {"é" + ecrHost, nil},
		"a wide dot":                     {ecrHost + "．evil.example", nil},
		"a wide digit":                   {"１" + ecrHost, nil},
		"the Kelvin sign":                {"111122223333.d\u212ar.ecr.eu-west-1.amazonaws.com", nil},
		"the long s":                     {"111122223333.dkr.ecr.eu-we\u017ft-1.amazonaws.com", nil},
		"a zero-width space":             {ecrHost + "\u200b.evil.example", nil},
		"bytes that are no text":         {ecrHost + "\xff.evil.example", nil},
		"a control character separates":  {ecrHost + "\x00evil.example", []string{ecrHost, "evil.example"}},
		"a name that is too long":        {strings.Repeat("a.", 130) + "example", nil},
		"the longest name":               {strings.Repeat("a.", 126) + "a", []string{strings.Repeat("a.", 126) + "a"}},
		"an IPv6 address is not for ECR": {"[::1]:5000/app", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Hosts(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("Hosts(%q)\n got %q\nwant %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestHostsOfLargeText(t *testing.T) {
	const size = 1 << 20
	for name, piece := range map[string]string{
		"one word": "a", "dots": "a.", "only dots": ".", "colons": "a:", "at": "@a.b", "slashes": "/", "schemes": "a://", "hosts": "a.example ", "dashes": "-", "no text": "\xff",
	} {
		text := strings.Repeat(piece, size/len(piece))
		start := time.Now()
		Hosts(text)
		// Hundredths of a second; what grows with the square takes minutes.
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func FuzzHosts(f *testing.F) {
	for _, text := range []string{"", ecrHost, "https://a:b@" + ecrHost + ":443/x?y#z", "K.example", "a.b.:1 \xff", `{"r.example:5000":1}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hosts := Hosts(text)
		for i, host := range hosts {
			if slices.Contains(hosts[:i], host) {
				t.Errorf("Hosts(%q): %q is there twice", text, host)
			}
			if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" || len(host) > maxHost {
				t.Errorf("Hosts(%q) holds %q", text, host)
			}
			// A host of a text is a host by itself.
			if got := Hosts(host); !slices.Equal(got, []string{host}) {
				t.Errorf("Hosts(%q) = %q", host, got)
			}
			// What is left and right of it could not be in it.
			if !standsAlone(text, host) {
				t.Errorf("Hosts(%q) = %q: %q is a part of something else", text, hosts, host)
			}
		}
	})
}

// standsAlone reports whether host is somewhere in text without a letter, a
// digit or another character of a name beside it. Lowering a text may change its
// length, so only ASCII is lowered.
func standsAlone(text, host string) bool {
	lower := []byte(text)
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] = b + 'a' - 'A'
		}
	}
	text = string(lower)
	part := func(neighbour rune, size int) bool {
		return size > 0 && (strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_%+~", neighbour) ||
			neighbour > 127 && !unicode.IsSpace(neighbour))
	}
	for from := 0; ; {
		at := strings.Index(text[from:], host)
		if at < 0 {
			return false
		}
		start, end := from+at, from+at+len(host)
		if !part(utf8.DecodeLastRuneInString(text[:start])) && !part(utf8.DecodeRuneInString(text[end:])) {
			return true
		}
		from = start + 1
	}
}
