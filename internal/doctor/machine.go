package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
)

// machine is what the checks ask the operating system; tests have one of their
// own.
type machine struct {
	uid      int
	hostname string
	// free returns the bytes that this user may still write below path.
	free func(path string) (uint64, error)
	// runners returns the users that GitLab Runner runs as here.
	runners func() []int
	// runner returns version and architecture of the GitLab Runner on PATH.
	runner func(ctx context.Context) gitlab.Job
	// inspect reads a program; see program.
	inspect func(ctx context.Context, path string) program
}

func thisMachine() machine {
	hostname, _ := os.Hostname() // without a name the engine counts as another host's
	return machine{uid: os.Geteuid(), hostname: hostname, free: free, runners: runners, runner: runnerOnPath, inspect: inspect}
}

func free(path string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// userName is the name of a user, or what there is without one.
func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return u.Username
}

// runners looks for processes of GitLab Runner. One that ends meanwhile is none.
func runners() (uids []int) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || string(comm) != "gitlab-runner\n" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(name)); err == nil {
			uids = append(uids, ownerOf(info))
		}
	}
	return uids
}

var runnerVersion = regexp.MustCompile(`(?m)^Version:\s+(\S+)$`)

// runnerOnPath asks gitlab-runner for its version, by which the default helper
// image goes. Without one, jobs of the newest are assumed.
func runnerOnPath(ctx context.Context) gitlab.Job {
	job := gitlab.Job{RunnerArch: runtime.GOOS + "/" + runtime.GOARCH}
	out, err := exec.CommandContext(ctx, "gitlab-runner", "--version").Output()
	if err != nil {
		return job
	}
	if match := runnerVersion.FindSubmatch(out); match != nil {
		job.RunnerVersion = string(match[1])
	}
	return job
}
