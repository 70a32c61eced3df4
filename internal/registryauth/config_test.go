package registryauth

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// basic is the auth of an entry.
func basic(userPassword string) string {
	return base64.StdEncoding.EncodeToString([]byte(userPassword))
}

func TestConfigResolve(t *testing.T) {
	// auths has an entry for each key, whose user is the key without colons.
	auths := func(keys ...string) string {
		var entries []string
		for _, key := range keys {
			user := strings.ReplaceAll(key, ":", "")
			entries = append(entries, fmt.Sprintf("%q: {\"auth\": %q}", key, basic(user+":secret")))
		}
		return `{"auths": {` + strings.Join(entries, ",") + `}}`
	}
	tests := map[string]struct {
		config   string
		image    string
		wantUser string
	}{
		"host":                              {auths("r.example"), "r.example/app", "r.example"},
		"host and port":                     {auths("r.example:5000"), "r.example:5000/app", "r.example5000"},
		"a port is part of the host":        {auths("r.example", "r.example:5001"), "r.example:5000/app", ""},
		"another host":                      {auths("r.example"), "r.example.evil/app", ""},
		"the end of another host":           {auths("r.example"), "evil-r.example/app", ""},
		"upper case in the key":             {auths("R.Example"), "r.example/app", "R.Example"},
		"upper case in the image":           {auths("r.example"), "R.Example/app", "r.example"},
		"path":                              {auths("r.example/group"), "r.example/group/app:1", "r.example/group"},
		"the whole repository":              {auths("r.example/group/app"), "r.example/group/app:1", "r.example/group/app"},
		"a slash at the end":                {auths("r.example/group/"), "r.example/group/app", "r.example/group/"},
		"paths end at a slash":              {auths("r.example/gro"), "r.example/group/app", ""},
		"another path":                      {auths("r.example/other"), "r.example/group/app", ""},
		"the longest path wins":             {auths("r.example", "r.example/a/b", "r.example/a"), "r.example/a/b/c", "r.example/a/b"},
		"the host for what no path matches": {auths("r.example", "r.example/a/b"), "r.example/a/c", "r.example"},
		"old style":                         {auths("https://r.example/v1/"), "r.example/app", "https//r.example/v1/"},
		"old style, http and a port":        {auths("http://r.example:5000/v2"), "r.example:5000/app", "http//r.example5000/v2"},
		"Docker's own style wins":           {auths("http://r.example/", "r.example", "https://r.example/v2/"), "r.example/app", "r.example"},
		"Docker Hub, as Docker writes it":   {auths("https://index.docker.io/v1/"), "alpine", "https//index.docker.io/v1/"},
		"Docker Hub, short":                 {auths("docker.io"), "alpine", "docker.io"},
		"Docker Hub, index":                 {auths("index.docker.io"), "user/app", "index.docker.io"},
		"Docker Hub, thrice":                {auths("docker.io", "https://index.docker.io/v1/", "index.docker.io"), "alpine", "https//index.docker.io/v1/"},
		"Docker Hub, path":                  {auths("docker.io/group", "docker.io"), "group/app", "docker.io/group"},
		"a user in the key":                 {auths("me@r.example"), "r.example/app", ""},
		"a password in a key is not told":   {`{"auths": {"me:hunter2@r.example": {"auth": "!"}}}`, "r.example/app", ""},
		"user and password":                 {`{"auths": {"r.example": {"username": "u", "password": "secret"}}}`, "r.example/app", "u"},
		"a login kept elsewhere":            {`{"auths": {"r.example": {}}, "credsStore": "pass"}`, "r.example/app", ""},
		"it hides no other":                 {`{"auths": {"r.example": {}, "https://r.example": {"username": "u"}}}`, "r.example/app", "u"},
		"unknown keys":                      {`{"auths": {"r.example": {"username": "u", "email": "e"}}, "proxies": 1, "x": [null]}`, "r.example/app", "u"},
		"auths in capitals, as Docker":      {`{"AUTHS": {"r.example": {"username": "u"}}}`, "r.example/app", "u"},
		"no auths":                          {`{}`, "r.example/app", ""},
		"null":                              {`{"auths": null}`, "r.example/app", ""},
		"empty":                             {" \n", "r.example/app", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			image, err := reference.ParseNormalizedNamed(tt.image)
			if err != nil {
				t.Fatal(err)
			}
			config, err := ParseConfig([]byte(tt.config), "DOCKER_AUTH_CONFIG")
			if err != nil {
				t.Fatal(err)
			}
			cred, found, err := config.Resolve(t.Context(), image)
			if err != nil || found != (tt.wantUser != "") || cred.Username != tt.wantUser {
				t.Fatalf("Resolve(%s) = %q, %v, %v; want %q", tt.image, cred.Username, found, err, tt.wantUser)
			}
			if found && cred.Source != "DOCKER_AUTH_CONFIG" {
				t.Errorf("Source = %q", cred.Source)
			}
		})
	}
}

func TestConfigCredential(t *testing.T) {
	config, err := ParseConfig([]byte(`{"auths": {
		"https://index.docker.io/v1/": {"auth": "`+basic("me:pass:word")+`"},
		"acr.example": {"auth": "`+basic("0000:")+`", "identitytoken": "identity"},
		"r.example/group": {"registrytoken": "bearer"},
		"": {"auth": "`+basic("no:registry")+`"}
	}}`), "file")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Credential{
		"docker.io":       {Username: "me", Password: "pass:word", Source: "file"},
		"acr.example":     {Username: "0000", IdentityToken: "identity", Source: "file"},
		"r.example/group": {RegistryToken: "bearer", Source: "file"},
	}
	got := config.Auths()
	if len(got) != len(want) {
		t.Errorf("%d auths, want %d", len(got), len(want))
	}
	for path, cred := range want {
		if got[path] != cred {
			t.Errorf("%s: user %q from %s; not what was in the file", path, got[path].Username, got[path].Source)
		}
	}
	delete(got, "docker.io")
	if len(config.Auths()) != len(want) {
		t.Error("Auths gave away its own map")
	}
}

func TestParseConfigErrors(t *testing.T) {
	tests := map[string]struct{ config, want string }{
		"a bare secret":        {`hunter2`, "reading DOCKER_AUTH_CONFIG: not valid JSON (at byte 1)"},
		"cut off":              {`{"auths": {"r.example": {"auth": "hunter2`, "reading DOCKER_AUTH_CONFIG: not valid JSON (at byte 41)"},
		"more than one":        {`{} hunter2`, "reading DOCKER_AUTH_CONFIG: not valid JSON (at byte 4)"},
		"a list":               {`["hunter2"]`, "reading DOCKER_AUTH_CONFIG: not a JSON object"},
		"auths is a string":    {`{"auths": "hunter2"}`, "reading DOCKER_AUTH_CONFIG: auths: not a JSON object"},
		"auths twice":          {`{"auths": {}, "Auths": {}}`, "reading DOCKER_AUTH_CONFIG: auths is there twice, in upper and lower case"},
		"an entry is a string": {`{"auths": {"r.example": "hunter2"}}`, "reading DOCKER_AUTH_CONFIG: the entry for r.example: it is not an object of strings"},
		"a number":             {`{"auths": {"r.example": {"password": 77777}}}`, "reading DOCKER_AUTH_CONFIG: the entry for r.example: it is not an object of strings"},
		"not base64":           {`{"auths": {"https://r.example/v1/": {"auth": "hunter2!"}}}`, "reading DOCKER_AUTH_CONFIG: the entry for r.example: its auth is not the base64 of user:password"},
		"no colon":             {`{"auths": {"r.example": {"auth": "` + basic("hunter2") + `"}}}`, "reading DOCKER_AUTH_CONFIG: the entry for r.example: its auth is not the base64 of user:password"},
		"no user":              {`{"auths": {"r.example": {"auth": "` + basic(":hunter2") + `"}}}`, "reading DOCKER_AUTH_CONFIG: the entry for r.example: its auth is not the base64 of user:password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig([]byte(tt.config), "DOCKER_AUTH_CONFIG")
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error = %v\nwant    %s", err, tt.want)
			}
		})
	}
}
