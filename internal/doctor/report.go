package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// colours of the states on a terminal.
var colours = map[Status]string{OK: "\x1b[32m", Note: "\x1b[33m", Fail: "\x1b[31;1m"}

const reset = "\x1b[0m"

// words are the states in a line.
var words = map[Status]string{OK: "ok", Note: "note", Fail: "FAIL"}

// text writes a line for each result, and an indented one for its remedy.
type text struct {
	out    io.Writer
	colour bool
	// width is that of the longest name.
	width int
}

func newText(out io.Writer, checks []check) text {
	const widest = 24 // a longer name moves its own line only
	t := text{out: out, colour: isTerminal(out)}
	for _, c := range checks {
		t.width = max(t.width, min(utf8.RuneCountInString(c.name), widest))
	}
	return t
}

func (t text) tell(r Result) {
	word := fmt.Sprintf("%-4s", words[r.Status])
	if t.colour {
		word = colours[r.Status] + word + reset
	}
	took := ""
	if r.Duration > time.Second {
		took = fmt.Sprintf(" (%s)", r.Duration.Round(100*time.Millisecond))
	}
	fmt.Fprintf(t.out, "%s  %-*s  %s%s\n", word, t.width, printable(r.Name), printable(r.Detail), took)
	if r.Remedy != "" {
		fmt.Fprintf(t.out, "      %s\n", printable(r.Remedy))
	}
}

// printable keeps what others wrote (a registry, a container, a file) from
// driving the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// isTerminal reports whether out is a terminal that shows colours.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// jsonResult is the shape of a result for programs.
type jsonResult struct {
	Name     string `json:"name"`
	Status   Status `json:"status"`
	Detail   string `json:"detail"`
	Remedy   string `json:"remedy"`
	Duration int64  `json:"duration_ms"`
}

func writeJSON(out io.Writer, results []Result) error {
	list := make([]jsonResult, 0, len(results))
	for _, r := range results {
		list = append(list, jsonResult{r.Name, r.Status, r.Detail, r.Remedy, r.Duration.Milliseconds()})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(list); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	return nil
}
