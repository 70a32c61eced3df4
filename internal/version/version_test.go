package version

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestComplete(t *testing.T) {
	info := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "abc"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	clean := debug.BuildSetting{Key: "vcs.modified", Value: "false"}
	for _, c := range []struct {
		name, version, commit   string
		info                    *debug.BuildInfo
		wantVersion, wantCommit string
	}{
		{"the linker's, over what is recorded", "v1.0.0", "def", info("v0.9.0", revision, modified), "v1.0.0", "def"},
		{"go install of a version", "", "", info("v0.9.0"), "v0.9.0", "unknown"},
		{"go build in a clean checkout", "", "", info("(devel)", revision, clean), "dev", "abc"},
		{"go build in a changed checkout", "", "", info("(devel)", modified, revision), "dev", "abc-dirty"},
		{"nothing recorded", "", "", nil, "dev", "unknown"},
	} {
		if version, commit := complete(c.version, c.commit, c.info); version != c.wantVersion || commit != c.wantCommit {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, version, commit, c.wantVersion, c.wantCommit)
		}
	}
}

func TestString(t *testing.T) {
	want := regexp.MustCompile(`^gitlab-ecr-executor \S+ \(commit \S+, go\S+, [a-z]+/[a-z0-9]+\)$`)
	if line := String(); !want.MatchString(line) {
		t.Errorf("%q, want %s", line, want)
	}
}
