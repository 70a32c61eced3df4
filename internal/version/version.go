// Package version tells which build of the driver this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Name is the name under which the driver introduces itself to GitLab Runner.
const Name = "gitlab-ecr-executor"

// Version and Commit are set by the linker from git. Builds without it, such as
// go install's, take what the go command recorded. The time of the build is in
// neither: the same sources give the same binary.
var (
	Version = ""
	Commit  = ""
)

func init() {
	info, _ := debug.ReadBuildInfo()
	Version, Commit = complete(Version, Commit, info)
}

// complete fills in what the linker did not say.
func complete(version, commit string, info *debug.BuildInfo) (string, string) {
	recorded, revision, modified := "", "", false
	if info != nil {
		recorded = info.Main.Version
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				revision = setting.Value
			case "vcs.modified":
				modified = setting.Value == "true"
			}
		}
	}
	if version == "" && recorded != "(devel)" {
		version = recorded
	}
	if version == "" {
		version = "dev"
	}
	if commit == "" && revision != "" {
		commit = revision
		if modified {
			commit += "-dirty"
		}
	}
	if commit == "" {
		commit = "unknown"
	}
	return version, commit
}

// String returns the line that --version prints.
func String() string {
	return fmt.Sprintf("%s %s (commit %s, %s, %s/%s)", Name, Version, Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
