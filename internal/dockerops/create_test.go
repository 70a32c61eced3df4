package dockerops

import (
	"errors"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// A device that the host lacks is not the author's fault, although the engine
// says "no such file or directory" as it does of an image without a shell.
func TestMissingDevice(t *testing.T) {
	c := plan.Container{Security: plan.Security{Devices: []string{"/dev/net/tun"}}}
	err := (&Engine{}).judgeStart(errors.New(`error gathering device information while adding custom device "/dev/net/tun": no such file or directory`), c)
	if failure.IsBuild(err) || !strings.Contains(failure.Remedy(err), "modprobe tun") {
		t.Errorf("%v: build failure %t, remedy %q", err, failure.IsBuild(err), failure.Remedy(err))
	}
	err = (&Engine{}).judgeStart(errors.New(`exec: "sh": executable file not found in $PATH`), plan.Container{Image: plan.Image{Role: "job"}})
	if !failure.IsBuild(err) || !strings.Contains(failure.Remedy(err), "needs a shell") {
		t.Errorf("%v: remedy %q", err, failure.Remedy(err))
	}
}
