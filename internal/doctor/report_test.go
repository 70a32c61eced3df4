package doctor

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	var out bytes.Buffer
	text := newText(&out, []check{{name: "docker"}, {name: "a very long name of a registry that nobody reads"}})
	text.tell(Result{"docker", OK, "28.0", "", 20 * time.Millisecond})
	text.tell(Result{"pull x", Fail, "no \x1b[2Jcolours of theirs", "mend it", 2300 * time.Millisecond})
	text.tell(Result{"disk", Note, "little", "", 0})
	want := "ok    docker                    28.0\n" +
		"FAIL  pull x                    no ?[2Jcolours of theirs (2.3s)\n      mend it\n" +
		"note  disk                      little\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	text.colour = true
	text.tell(Result{"docker", OK, "28.0", "", 0})
	if want := "\x1b[32mok  \x1b[0m  docker                    28.0\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := writeJSON(&out, []Result{{"a", Fail, "<b>", "c", 1500 * time.Millisecond}, {"d", OK, "", "", 0}}); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0]["name"] != "a" || got[0]["status"] != "fail" || got[0]["detail"] != "<b>" || got[0]["remedy"] != "c" ||
		got[0]["duration_ms"] != 1500.0 || len(got[1]) != 5 {
		t.Errorf("%v", got)
	}
	out.Reset()
	if err := writeJSON(&out, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
