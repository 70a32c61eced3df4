package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// Status is what became of a check.
type Status string

// The results of a check: a note is worth reading, and jobs run all the same.
const (
	OK   Status = "ok"
	Note Status = "note"
	Fail Status = "fail"
)

// Result is what a check tells.
type Result struct {
	Name   string
	Status Status
	// Detail is a short fact, Remedy what to do; each one line.
	Detail, Remedy string
	Duration       time.Duration
}

// finding is what a check finds.
type finding struct {
	status         Status
	detail, remedy string
	// missing names what must be there before there is anything to find; checks
	// that need this one are not done either.
	missing string
}

func ok(format string, args ...any) finding {
	return finding{status: OK, detail: fmt.Sprintf(format, args...)}
}

func note(detail, remedy string) finding {
	return finding{status: Note, detail: detail, remedy: remedy}
}

func fail(detail, remedy string) finding {
	return finding{status: Fail, detail: detail, remedy: remedy}
}

// notChecked says why a check was not done.
func notChecked(missing string) finding {
	return finding{status: Note, detail: "not checked: " + missing, missing: missing}
}

// failed tells of an error, with the remedy that its verdict has, or else this.
func failed(err error, remedy string) finding {
	if own := failure.Remedy(err); own != "" {
		remedy = own
	}
	if errors.Is(err, context.DeadlineExceeded) && remedy == "" {
		remedy = "it took too long: try again"
	}
	return fail(err.Error(), remedy)
}

// check is one thing to look at.
type check struct {
	name    string
	timeout time.Duration
	// needs are names of checks: when one of them has failed, this one is not
	// done.
	needs []string
	// hears says that it is done all the same, after what it needs.
	hears bool
	do    func(ctx context.Context) finding
}

// run does all checks, those at once that do not need each other, and tells them
// in order, each as soon as all before it are told. It reports whether none
// failed.
func run(ctx context.Context, checks []check, tell func(Result)) bool {
	type outcome struct {
		done   chan struct{}
		result Result
		// missing is set where nothing can be built on the check.
		missing string
	}
	outcomes := map[string]*outcome{}
	for _, c := range checks {
		outcomes[c.name] = &outcome{done: make(chan struct{})}
	}
	var all sync.WaitGroup
	for _, c := range checks {
		o := outcomes[c.name]
		all.Go(func() {
			defer close(o.done)
			missing := ""
			for _, need := range c.needs {
				<-outcomes[need].done
				if missing == "" {
					missing = outcomes[need].missing
				}
			}
			began := time.Now()
			found := notChecked(missing)
			if missing == "" || c.hears {
				ctx, cancel := context.WithTimeout(ctx, c.timeout)
				found = c.do(ctx)
				cancel()
			}
			o.result = Result{c.name, found.status, oneLine(found.detail), oneLine(found.remedy), time.Since(began)}
			o.missing = found.missing
			if found.status == Fail {
				o.missing = c.name + " failed"
			}
		})
	}
	well := true
	for _, c := range checks {
		o := outcomes[c.name]
		<-o.done
		well = well && o.result.Status != Fail
		tell(o.result)
	}
	all.Wait()
	return well
}

// oneLine joins the lines of a text: what a container printed, say.
func oneLine(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}
