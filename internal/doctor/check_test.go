package doctor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRunOrder(t *testing.T) {
	second := make(chan struct{})
	checks := []check{
		{name: "first", timeout: time.Minute, do: func(context.Context) finding {
			<-second // they are done at once
			return ok("1")
		}},
		{name: "second", timeout: time.Minute, do: func(context.Context) finding { close(second); return note("2", "") }},
		{name: "third", timeout: time.Minute, needs: []string{"fourth"}, do: func(context.Context) finding { return ok("3") }},
		{name: "fourth", timeout: time.Minute, do: func(context.Context) finding { return ok("4") }},
	}
	var told []string
	if !run(t.Context(), checks, func(r Result) { told = append(told, r.Name) }) {
		t.Error("nothing failed")
	}
	if want := []string{"first", "second", "third", "fourth"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestRunNeeds(t *testing.T) {
	heard := false
	checks := []check{
		{name: "grandchild", needs: []string{"child"}, do: func(context.Context) finding { panic("done") }},
		{name: "child", needs: []string{"parent"}, do: func(context.Context) finding { panic("done") }},
		{name: "hears", needs: []string{"parent"}, hears: true, do: func(context.Context) finding { heard = true; return ok("") }},
		{name: "parent", do: func(context.Context) finding { return fail("broken\n  twice\n", "mend\nit") }},
		{name: "after a note", needs: []string{"noted"}, do: func(context.Context) finding { return ok("done") }},
		{name: "noted", do: func(context.Context) finding { return note("so so", "") }},
		{name: "after a gap", needs: []string{"gap"}, do: func(context.Context) finding { panic("done") }},
		{name: "gap", do: func(context.Context) finding { return notChecked("a reason") }},
	}
	results := map[string]Result{}
	if run(t.Context(), checks, func(r Result) { results[r.Name] = r }) {
		t.Error("parent failed")
	}
	for name, detail := range map[string]string{
		"grandchild": "not checked: parent failed", "child": "not checked: parent failed", "parent": "broken; twice",
		"after a note": "done", "after a gap": "not checked: a reason",
	} {
		if results[name].Detail != detail {
			t.Errorf("%s: %q, want %q", name, results[name].Detail, detail)
		}
	}
	if !heard || results["parent"].Remedy != "mend; it" {
		t.Errorf("heard: %t, remedy %q", heard, results["parent"].Remedy)
	}
}

func TestRunTimeout(t *testing.T) {
	checks := []check{{name: "slow", timeout: time.Millisecond, do: func(ctx context.Context) finding {
		<-ctx.Done()
		return failed(ctx.Err(), "")
	}}}
	run(t.Context(), checks, func(r Result) {
		if r.Status != Fail || !strings.Contains(r.Remedy, "took too long") {
			t.Errorf("%+v", r)
		}
	})
}

// Every check needs only checks that are there: run would wait for ever.
func TestNeedsExist(t *testing.T) {
	s := newSubject(t)
	names := map[string]bool{}
	for _, c := range s.checks() {
		names[c.name] = true
	}
	for _, c := range s.checks() {
		for _, need := range c.needs {
			if !names[need] {
				t.Errorf("%s needs %s", c.name, need)
			}
		}
	}
}
