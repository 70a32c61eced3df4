// Package version tells which build of the driver this is.
package version

import (
	"fmt"
	"runtime"
)

// Name is the name under which the driver introduces itself to GitLab Runner.
const Name = "gitlab-ecr-executor"

// Version is set by the linker from git; "dev" in builds without it.
var Version = "dev"

// String returns the line that --version prints.
func String() string {
	return fmt.Sprintf("%s %s (%s, %s/%s)", Name, Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
