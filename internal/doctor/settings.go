package doctor

import (
	"context"
	"os"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

func (d *doctor) checkSettings(context.Context) finding {
	if d.settingsErr != nil {
		return failed(d.settingsErr, "")
	}
	source := ""
	if d.opts.EnvFile != "" {
		source = ", with " + d.opts.EnvFile
	}
	set := 0
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, settings.Prefix+"_") {
			set++
		}
	}
	if set == 0 {
		return ok("all defaults%s", source)
	}
	return ok("%d set, the others defaults%s", set, source)
}
