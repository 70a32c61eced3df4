package failure

import (
	"errors"
	"fmt"
	"testing"
)

func TestVerdicts(t *testing.T) {
	cause := errors.New("manifest unknown")
	tests := map[string]struct {
		err        error
		wantBuild  bool
		wantRemedy string
	}{
		"nobody judged: system":       {cause, false, ""},
		"build":                       {Build(cause, "push it"), true, "push it"},
		"system":                      {System(cause, "start docker"), false, "start docker"},
		"a wrapped verdict stands":    {fmt.Errorf("preparing: %w", Build(cause, "push it")), true, "push it"},
		"the outermost verdict wins":  {System(fmt.Errorf("x: %w", Build(cause, "a")), "b"), false, "b"},
		"a script's exit is a build":  {fmt.Errorf("step: %w", Script(3)), true, ""},
		"no error is no build either": {nil, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := IsBuild(tt.err); got != tt.wantBuild {
				t.Errorf("IsBuild = %v, want %v", got, tt.wantBuild)
			}
			if got := Remedy(tt.err); got != tt.wantRemedy {
				t.Errorf("Remedy = %q, want %q", got, tt.wantRemedy)
			}
		})
	}
	if !errors.Is(Build(cause, ""), cause) {
		t.Error("the cause is lost")
	}
}

func TestScriptExitCode(t *testing.T) {
	if code, ok := ScriptExitCode(fmt.Errorf("after: %w", Script(42))); !ok || code != 42 {
		t.Errorf("ScriptExitCode = %d, %v; want 42, true", code, ok)
	}
	if code, ok := ScriptExitCode(Build(errors.New("x"), "")); ok {
		t.Errorf("ScriptExitCode of a plain build failure = %d, true", code)
	}
}
