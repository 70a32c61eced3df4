package registryauth

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	dockerconfig "github.com/docker/cli/cli/config"
)

func FuzzInject(f *testing.F) {
	f.Add([]byte(nil), []byte(nil), "r.example", "AWS", "token")
	f.Add([]byte(`{"auths": {"r.example": {"auth": "am9iOnA="}}, "credsStore": "x"}`), []byte(`{}`), "r.example", "AWS", "token")
	f.Add([]byte(`{"Auths": {"https://r.example/v1/": {}}, "x": [1e999, "<\u2028"]}`), []byte(`{"r.example": "00"}`), "docker.io", "", "")
	f.Add([]byte(`{"auths": null, "auths": {"b.example": 1}}`), []byte(`{"b.example": "", "docker.io": "x"}`), "b.example", "u:v", "p\x00")
	f.Fuzz(func(t *testing.T, current, record []byte, key, user, password string) {
		key = strings.ToValidUTF8(key, "?") // a host, a key of JSON or both
		entries := map[string]Credential{
			key:         {Username: user, Password: Secret(password)},
			"b.example": token("b"),
		}
		config, newRecord, err := Inject(current, record, entries, []string{"/plugins"})
		if err != nil {
			if config != nil || newRecord != nil {
				t.Fatalf("with the error came %s, %s", config, newRecord)
			}
			return
		}
		before, after := rawObject(t, current), rawObject(t, config)
		var authsBefore, authsAfter map[string]json.RawMessage
		for member, value := range before {
			if strings.EqualFold(member, "auths") {
				authsBefore, authsAfter = rawObject(t, value), rawObject(t, after[member])
			} else if !sameJSON(t, value, after[member]) {
				t.Errorf("%s was %s, is %s", member, value, after[member])
			}
		}
		var known map[string]string
		_ = json.Unmarshal(record, &known)
		for host, entry := range authsBefore {
			// Only what the record has a digest for may be ours.
			if _, ours := known[host]; !ours && !sameJSON(t, entry, authsAfter[host]) {
				t.Errorf("the job's entry for %s was %s, is %s", host, entry, authsAfter[host])
			}
			if authsAfter[host] == nil {
				t.Errorf("the entry for %s is gone", host)
			}
		}
		// A file that Docker could read stays one.
		if _, err := dockerconfig.LoadFromReader(bytes.NewReader(current)); err == nil {
			if _, err := dockerconfig.LoadFromReader(bytes.NewReader(config)); err != nil {
				t.Errorf("docker reads %q but not %q: %v", current, config, err)
			}
		}
		again, recordAgain, err := Inject(config, newRecord, entries, []string{"/plugins"})
		if err != nil || !bytes.Equal(again, config) || !bytes.Equal(recordAgain, newRecord) {
			t.Errorf("a second time: %v\n%s\n%s\nthe first time:\n%s\n%s", err, again, recordAgain, config, newRecord)
		}
	})
}

// rawObject parses an object; of nothing it is empty.
func rawObject(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	return members
}

// sameJSON reports whether a and b differ in spacing at most.
func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var compactA, compactB bytes.Buffer
	if err := json.Compact(&compactA, a); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compactB, b); err != nil {
		return false
	}
	return bytes.Equal(compactA.Bytes(), compactB.Bytes())
}
