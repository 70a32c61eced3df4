package gitlab

import (
	"os"
	"strings"
)

// Expand replaces $NAME and ${NAME} in s, and in the values that come in, and
// returns the names that are not set. GitLab Runner expands variables within
// variables one level deep, so a value may still hold a reference. A variable
// that refers to itself, and what would grow beyond all measure, stays as it is;
// a raw variable (expand: false) is taken as it is.
func (v Variables) Expand(s string) (expanded string, unset []string) {
	e := expansion{vars: v, open: map[string]bool{}, budget: maxExpanded}
	return e.expand(s), e.unset
}

// maxExpanded bounds all that one expansion makes, in bytes: a job's author
// could fill the host's memory with a few variables that name each other.
const maxExpanded = 1 << 20

type expansion struct {
	vars   Variables
	open   map[string]bool // being expanded
	budget int
	unset  []string
}

func (e *expansion) expand(s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	return os.Expand(s, func(name string) string {
		if name == "$" { // "$$" is an escaped dollar sign
			return name
		}
		if _, ok := e.vars.expanded[name]; !ok {
			if !e.open[name] {
				e.open[name] = true // named once
				e.unset = append(e.unset, name)
			}
			return ""
		}
		value := e.vars.Get(name)
		if e.budget -= len(value); e.open[name] || e.budget < 0 {
			return "$" + name
		}
		if e.vars.isRaw(name) {
			return value
		}
		e.open[name] = true
		defer delete(e.open, name)
		return e.expand(value)
	})
}

// isRaw reports whether the author wants a variable as it is.
func (v Variables) isRaw(key string) bool {
	raw := false
	for _, variable := range v.sent {
		if variable.Key == key {
			raw = variable.Raw
		}
	}
	return raw
}
