package gitlab

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	vars := Variables{
		expanded: map[string]string{
			"REGISTRY": "$ACCOUNT.dkr.ecr.eu-west-1.amazonaws.com", "ACCOUNT": "111122223333",
			"TAG": "v1", "LOOP": "$LOOP", "EMPTY": "", "CONFIG": "content", "RAW": "$TAG", "PING": "$PONG", "PONG": "x$PING",
		},
		sent:    []Variable{{Key: "CONFIG", File: true}, {Key: "RAW", Raw: true}},
		tempDir: "/builds/app.tmp",
	}
	tests := map[string]struct {
		in, want string
		unset    []string
	}{
		"plain":            {in: "busybox:1", want: "busybox:1"},
		"nested":           {in: "$REGISTRY/app:${TAG}", want: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/app:v1"},
		"unset":            {in: "$NOWHERE/app:$TAG", want: "/app:v1", unset: []string{"NOWHERE"}},
		"set but empty":    {in: "a${EMPTY}b", want: "ab"},
		"cycle ends":       {in: "$LOOP", want: "$LOOP"},
		"a longer cycle":   {in: "$PING", want: "x$PING"},
		"a raw variable":   {in: "$RAW", want: "$TAG"},
		"twice":            {in: "$TAG-$TAG", want: "v1-v1"},
		"a file variable":  {in: "$CONFIG", want: "/builds/app.tmp/CONFIG"},
		"unset named once": {in: "$X$X", want: "", unset: []string{"X"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, unset := vars.Expand(tt.in)
			if got != tt.want || !slices.Equal(unset, tt.unset) {
				t.Errorf("Expand(%q) = %q, %q; want %q, %q", tt.in, got, unset, tt.want, tt.unset)
			}
		})
	}
}

// A few variables that name each other do not fill the host's memory.
func TestExpandIsBounded(t *testing.T) {
	vars := Variables{expanded: map[string]string{"X0": strings.Repeat("x", 100)}}
	for i := range 20 {
		vars.expanded[fmt.Sprintf("X%d", i+1)] = strings.Repeat(fmt.Sprintf("$X%d", i), 100)
	}
	vars.expanded["SELF"] = strings.Repeat("$SELF", 1000)
	for _, name := range []string{"$X20", "$SELF"} {
		if got, _ := vars.Expand(name); len(got) > 2*maxExpanded {
			t.Errorf("%s expands to %d bytes", name, len(got))
		}
	}
}

func TestContainerEnvHoldsNoSecret(t *testing.T) {
	vars := Variables{
		expanded: map[string]string{
			"GREETING": "hello", "DIR": "/builds/app/out", "CI_PROJECT_DIR": "/builds/app",
			"PASSWORD": "hunter2", "URL": "postgres://u:hunter2@db", "KEYFILE": "PEM", "TOKEN": "masked-one",
			"PROJECT_SECRET": "not masked, not public", "OVERRIDDEN": "now secret",
			"ONLY_IN_ENV": "from a secrets manager",
		},
		sent: []Variable{
			{Key: "GREETING", Value: "hello", Public: true},
			{Key: "DIR", Value: "$CI_PROJECT_DIR/out", Public: true},
			{Key: "PASSWORD", Value: "hunter2", Masked: true},
			{Key: "URL", Value: "postgres://u:$PASSWORD@db", Public: true},
			{Key: "KEYFILE", Value: "PEM", Public: true, File: true},
			{Key: "TOKEN", Value: "masked-one", Public: true, Masked: true},
			{Key: "PROJECT_SECRET", Value: "not masked, not public"},
			{Key: "OVERRIDDEN", Value: "public once", Public: true},
			{Key: "OVERRIDDEN", Value: "now secret"},
		},
	}
	want := []string{"GREETING=hello", "DIR=/builds/app/out", "CI_PROJECT_DIR=/builds/app"}
	if got := vars.ContainerEnv(); !reflect.DeepEqual(got, want) {
		t.Errorf("ContainerEnv() = %q, want %q", got, want)
	}
}
