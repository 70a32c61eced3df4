package settings

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// checkUnknown names all variables with our prefix that are no setting: most
// likely they are misspelt, and their meaning is missed.
func checkUnknown() error {
	var names bytes.Buffer
	if err := envconfig.Usagef(Prefix, &Settings{}, &names, "{{range .}}{{usage_key .}} {{end}}"); err != nil {
		return err
	}
	known := strings.Fields(names.String())
	var unknown []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix+"_") && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return fmt.Errorf("no such setting: %s", strings.Join(unknown, ", "))
}
