package registryauth

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
)

// token is an entry of ours.
func token(password string) Credential {
	return Credential{Username: "AWS", Password: Secret(password)}
}

// parse returns a Docker config file as plain values.
func parse(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return file
}

// inject expects Inject to succeed.
func inject(t *testing.T, current, record []byte, entries map[string]Credential, pluginDirs ...string) (config, newRecord []byte) {
	t.Helper()
	config, newRecord, err := Inject(current, record, entries, pluginDirs)
	if err != nil {
		t.Fatal(err)
	}
	return config, newRecord
}

func TestInjectFirst(t *testing.T) {
	tests := map[string]struct {
		current string
		entries map[string]Credential
		want    string // as JSON; "" when current must not be touched
	}{
		"no file": {
			"",
			map[string]Credential{"r.example": token("1")},
			`{"auths": {"r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"a file of spaces": {
			" \n",
			map[string]Credential{"r.example": token("1")},
			`{"auths": {"r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"null": {
			"null",
			map[string]Credential{"r.example": token("1")},
			`{"auths": {"r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"Docker Hub": {
			"{}",
			map[string]Credential{"docker.io": token("1")},
			`{"auths": {"https://index.docker.io/v1/": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"keys are kept": {
			"{}",
			map[string]Credential{"r.example:5000": token("1"), "r.example/group": token("2")},
			`{"auths": {"r.example:5000": {"auth": "` + basic("AWS:1") + `"}, "r.example/group": {"auth": "` + basic("AWS:2") + `"}}}`,
		},
		"tokens": {
			"{}",
			map[string]Credential{
				"i.example": {Username: "0000", IdentityToken: "identity"},
				"b.example": {RegistryToken: "bearer"},
			},
			`{"auths": {"i.example": {"auth": "` + basic("0000:") + `", "identitytoken": "identity"}, "b.example": {"registrytoken": "bearer"}}}`,
		},
		"the job came first": {
			`{"auths": {"r.example": {"auth": "job"}}}`, map[string]Credential{"r.example": token("1")}, "",
		},
		"the job came first, in the old style": {
			`{"auths": {"https://r.example/v1/": {"auth": "job"}}}`, map[string]Credential{"r.example": token("1")}, "",
		},
		"the job came first, on Docker Hub": {
			`{"auths": {"docker.io": {"auth": "job"}}}`, map[string]Credential{"docker.io": token("1")}, "",
		},
		"a login that the job keeps elsewhere": {
			`{"auths": {"r.example": {}}, "credsStore": "pass"}`, map[string]Credential{"r.example": token("1")}, "",
		},
		"a path of the job is another entry": {
			`{"auths": {"r.example/group": {"auth": "job"}}}`,
			map[string]Credential{"r.example": token("1")},
			`{"auths": {"r.example/group": {"auth": "job"}, "r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"auths in capitals": {
			`{"Auths": {"job.example": {}}}`,
			map[string]Credential{"r.example": token("1")},
			`{"Auths": {"job.example": {}, "r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"auths is null": {
			`{"auths": null}`,
			map[string]Credential{"r.example": token("1")},
			`{"auths": {"r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"everything else": {
			`{"credHelpers": {"g.example": "gcr"}, "HttpHeaders": {"X": "<&>"}, "proxies": {"default": {}}, "novelty": [1e999, 1.10]}`,
			map[string]Credential{"r.example": token("1")},
			`{"credHelpers": {"g.example": "gcr"}, "HttpHeaders": {"X": "<&>"}, "proxies": {"default": {}}, "novelty": [1e999, 1.10],` +
				`"auths": {"r.example": {"auth": "` + basic("AWS:1") + `"}}}`,
		},
		"nothing to write, no file":   {"", nil, ""},
		"nothing to write, some file": {`{ "auths" :{} }`, nil, ""},
	}
	// compare keeps the numbers as they are written.
	compare := func(data []byte) any {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		return value
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, record := inject(t, []byte(tt.current), nil, tt.entries)
			switch {
			case tt.want == "" && string(got) != tt.current:
				t.Errorf("touched: %s", got)
			case tt.want != "" && !reflect.DeepEqual(compare(got), compare([]byte(tt.want))):
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			again, recordAgain := inject(t, got, record, tt.entries)
			if !bytes.Equal(again, got) || !bytes.Equal(recordAgain, record) {
				t.Errorf("a second time: %s, %s", again, recordAgain)
			}
		})
	}
	if got, _ := inject(t, []byte(`{"HttpHeaders": {"X": "<&>"}}`), nil, map[string]Credential{"r.example": token("1")}); !bytes.Contains(got, []byte("<&>")) {
		t.Errorf("not verbatim: %s", got)
	}
}

// TestInjectRenewal has the job do something between two writes of ours.
func TestInjectRenewal(t *testing.T) {
	ours := map[string]string{"a.example": basic("AWS:1"), "b.example": basic("AWS:1")}
	// docker is what the docker command does to the file.
	docker := func(do func(auths map[string]types.AuthConfig)) func(*testing.T, []byte) []byte {
		return func(t *testing.T, data []byte) []byte {
			file, err := dockerconfig.LoadFromReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			do(file.AuthConfigs)
			var out bytes.Buffer
			if err := file.SaveToWriter(&out); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
	}
	becomes := func(text string) func(*testing.T, []byte) []byte {
		return func(*testing.T, []byte) []byte { return []byte(text) }
	}
	tests := map[string]struct {
		job  func(*testing.T, []byte) []byte
		want map[string]string // auth by key, after our second write
	}{
		"nothing": {
			func(_ *testing.T, data []byte) []byte { return data },
			map[string]string{"a.example": basic("AWS:2"), "b.example": basic("AWS:2")},
		},
		"docker login to another registry": {
			docker(func(auths map[string]types.AuthConfig) {
				auths["job.example"] = types.AuthConfig{Username: "job", Password: "p"}
			}),
			map[string]string{"a.example": basic("AWS:2"), "b.example": basic("AWS:2"), "job.example": basic("job:p")},
		},
		"docker login": {
			docker(func(auths map[string]types.AuthConfig) {
				auths["a.example"] = types.AuthConfig{Username: "job", Password: "p"}
			}),
			map[string]string{"a.example": basic("job:p"), "b.example": basic("AWS:2")},
		},
		"docker logout": {
			docker(func(auths map[string]types.AuthConfig) { delete(auths, "a.example") }),
			map[string]string{"b.example": basic("AWS:2")},
		},
		"docker logout from all": {
			docker(func(auths map[string]types.AuthConfig) { clear(auths) }),
			map[string]string{},
		},
		"a field more": {
			becomes(`{"auths": {"a.example": {"auth": "` + ours["a.example"] + `", "email": "e"}, "b.example": {"auth": "` + ours["b.example"] + `"}}}`),
			map[string]string{"a.example": ours["a.example"], "b.example": basic("AWS:2")},
		},
		"another layout": {
			becomes(`{"auths":{"b.example":{"auth":"` + ours["b.example"] + `"},"a.example":{"auth":"` + ours["a.example"] + `"}}}`),
			map[string]string{"a.example": basic("AWS:2"), "b.example": basic("AWS:2")},
		},
		"a file of its own": {
			becomes(`{"auths": {"job.example": {"auth": "x"}}}`),
			map[string]string{"job.example": "x"},
		},
		"no auths": {becomes(`{}`), map[string]string{}},
		"removes the file": {
			becomes(""),
			map[string]string{"a.example": basic("AWS:2"), "b.example": basic("AWS:2")},
		},
		"empties the file": {
			becomes("\n"),
			map[string]string{"a.example": basic("AWS:2"), "b.example": basic("AWS:2")},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, record := inject(t, nil, nil, map[string]Credential{"a.example": token("1"), "b.example": token("1")})
			config = tt.job(t, config)
			// Twice: what stays as the job left it does so for good.
			for range 2 {
				config, record = inject(t, config, record, map[string]Credential{"a.example": token("2"), "b.example": token("2")})
			}
			got := map[string]string{}
			if auths, ok := parse(t, config)["auths"].(map[string]any); ok {
				for key, entry := range auths {
					got[key], _ = entry.(map[string]any)["auth"].(string)
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestInjectChangesEntries(t *testing.T) {
	config, record := inject(t, nil, nil, map[string]Credential{"a.example": token("1")})
	config, record = inject(t, config, record, map[string]Credential{"b.example": token("1")})
	if auths := parse(t, config)["auths"].(map[string]any); len(auths) != 2 {
		t.Errorf("a registry that came later: %v", auths)
	}
	// One that is left out for a while is still ours.
	config, _ = inject(t, config, record, map[string]Credential{"a.example": token("2")})
	if auths := parse(t, config)["auths"].(map[string]any); auths["a.example"].(map[string]any)["auth"] != basic("AWS:2") {
		t.Errorf("a registry that came back: %v", auths)
	}
}

func TestInjectLeavesTheLayout(t *testing.T) {
	entries := map[string]Credential{"r.example": token("1")}
	config, record := inject(t, nil, nil, entries)
	var compact bytes.Buffer
	if err := json.Compact(&compact, config); err != nil {
		t.Fatal(err)
	}
	if got, _ := inject(t, compact.Bytes(), record, entries); !bytes.Equal(got, compact.Bytes()) {
		t.Errorf("nothing to do, but %s becomes %s", compact.Bytes(), got)
	}
}

func TestInjectPluginDirs(t *testing.T) {
	const dir = "/root/.docker/cli-plugins"
	entries := map[string]Credential{"r.example": token("1")}
	dirs := func(config []byte, key string) any { return parse(t, config)[key] }

	config, record := inject(t, nil, nil, entries, dir)
	if got := dirs(config, "cliPluginsExtraDirs"); !reflect.DeepEqual(got, []any{dir}) {
		t.Errorf("first: %v", got)
	}
	// The job removes them: they do not come back, unless the file goes.
	config, record = inject(t, []byte(`{"auths": {}}`), record, map[string]Credential{"new.example": token("1")}, dir)
	if got := dirs(config, "cliPluginsExtraDirs"); got != nil {
		t.Errorf("after the job removed them: %v", got)
	}
	config, _ = inject(t, nil, record, nil, dir)
	if got := dirs(config, "cliPluginsExtraDirs"); !reflect.DeepEqual(got, []any{dir}) {
		t.Errorf("after the job removed the file: %v", got)
	}
	for _, current := range []string{`{"cliPluginsExtraDirs": ["/job"]}`, `{"CLIPluginsExtraDirs": null}`} {
		if config, _ = inject(t, []byte(current), nil, nil, dir); string(config) != current {
			t.Errorf("%s becomes %s", current, config)
		}
		if config, _ = inject(t, []byte(current), nil, entries, dir); dirs(config, "auths") == nil {
			t.Errorf("%s becomes %s: no entry", current, config)
		}
	}
}

func TestInjectErrors(t *testing.T) {
	tests := map[string]struct {
		current, record string
		cred            Credential
		want            string
	}{
		"not JSON":             {`hunter2`, "", token("1"), "reading the job's Docker config: not valid JSON (at byte 1)"},
		"cut off":              {`{"auths"`, "", token("1"), "reading the job's Docker config: not valid JSON (at byte 8)"},
		"a list":               {`[]`, "", token("1"), "reading the job's Docker config: not a JSON object"},
		"auths is a list":      {`{"auths": ["hunter2"]}`, "", token("1"), "reading the job's Docker config: auths: not a JSON object"},
		"auths twice":          {`{"auths": {}, "AUTHS": {}}`, "", token("1"), "reading the job's Docker config: auths is there twice, in upper and lower case"},
		"the record is broken": {`{}`, `{"r.exa`, token("1"), "reading the record of the job's Docker config: not an object of digests"},
		"the record is null":   {`{}`, `null`, token("1"), "reading the record of the job's Docker config: not an object of digests"},
		"a colon in the user":  {`{}`, "", Credential{Username: "hunter2:x", Password: "p"}, "writing the job's Docker config: the credential for r.example: a Docker config file cannot hold it (no user name, a colon in it, or bytes that are no text)"},
		"no user":              {`{}`, "", Credential{Password: "hunter2"}, "writing the job's Docker config: the credential for r.example: a Docker config file cannot hold it (no user name, a colon in it, or bytes that are no text)"},
		"a NUL at the end":     {`{}`, "", token("hunter2\x00"), "writing the job's Docker config: the credential for r.example: a Docker config file cannot hold it (no user name, a colon in it, or bytes that are no text)"},
		"a token of no text":   {`{}`, "", Credential{IdentityToken: "hunter2\xff"}, "writing the job's Docker config: the credential for r.example: a Docker config file cannot hold it (no user name, a colon in it, or bytes that are no text)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, record, err := Inject([]byte(tt.current), []byte(tt.record), map[string]Credential{"r.example": tt.cred}, nil)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error = %v\nwant    %s", err, tt.want)
			}
			if config != nil || record != nil {
				t.Errorf("with the error came %s, %s", config, record)
			}
		})
	}
}

func TestRecordHoldsNoSecret(t *testing.T) {
	_, record := inject(t, nil, nil, map[string]Credential{"r.example": token("hunter2"), "docker.io": token("hunter2")})
	if strings.Contains(string(record), "hunter2") || strings.Contains(string(record), basic("AWS:hunter2")) {
		t.Errorf("record: %s", record)
	}
	if got := parse(t, record); len(got) != 2 || got["r.example"] == nil || got[dockerHubKey] == nil {
		t.Errorf("record: %s", record)
	}
}
