package depcheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quoted is a message in the first column of a table.
var (
	firstColumn = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	quoted      = regexp.MustCompile("`([^`]+)`")
)

// The messages in docs/troubleshooting.md are those of the code.
func TestTroubleshooting(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	code := sources(t)
	columns := firstColumn.FindAllStringSubmatch(string(page), -1)
	if len(columns) < 40 {
		t.Fatalf("found %d messages only", len(columns))
	}
	for _, column := range columns {
		for _, message := range quoted.FindAllStringSubmatch(column[1], -1) {
			for part := range strings.SplitSeq(message[1], "...") {
				if part = strings.TrimSpace(part); !strings.Contains(code, part) {
					t.Errorf("%q: the code does not say %q", message[1], part)
				}
			}
		}
	}
}

// sources is the text of the driver without its tests, with strings that go over
// two lines made whole.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(all.String(), "")
	return strings.ReplaceAll(joined, `\"`, `"`)
}
