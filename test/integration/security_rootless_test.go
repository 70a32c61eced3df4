package integration

import (
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// What a job reaches by means of a rootless daemon has no power outside of the
// daemon's user namespace.
func TestSecurityRootless(t *testing.T) {
	s := newDockerJob(t).set("ECR_EXECUTOR_SERVICE_MEMORY=300m")
	s.Job.Services = []replay.Image{{Name: rootlessImage}}
	outer := startSidecar(t, s)
	outer.expectShape(t, nil, 0, []string{"/dev/net/tun"})
	c := outer.rootless()
	if output, code := c.run(append(c.enter, "sh", "-c", "id -u; cat /proc/self/uid_map")); code != 0 || strings.Join(strings.Fields(output), " ") != "0 0 1000 1 1 100000 65536" {
		t.Fatalf("the attacker is not root of the daemon's user namespace: %s", output)
	}
	c.attack(t, true)

	image := inner + "/app:v1"
	if output, _ := c.docker("info", "--format", "{{.CgroupDriver}}"); !cgroup2() && strings.TrimSpace(output) != "none" {
		t.Errorf("containers inside have limits, docs/security.md says that they have none: %s", output)
	}
	if output, code := c.docker("run", "--rm", "--privileged", image, "true"); code == 0 || !strings.Contains(output, "operation not permitted") {
		t.Errorf("a privileged container in a rootless sidecar: exit code %d: %s", code, output)
	}
	for _, words := range []string{
		"run --rm -p 80:80 " + image + " true",
		"network create inside",
		"run -d --name one --network inside " + image + " sleep 600",
		"run --rm --network inside " + image + " ping -c 1 one",
	} {
		if output, code := c.docker(strings.Fields(words)...); code != 0 {
			t.Errorf("docker %s: %s", words, output)
		}
	}
}

// What starts the sidecar runs outside of the daemon's user namespace, where the
// paths of /proc that Docker masks are open: a job has no part in it.
func TestSecurityRootlessOutside(t *testing.T) {
	const pattern = "/proc/sys/kernel/core_pattern"
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	before := newDockerJob(t, "mkdir -m 777 /builds/x",
		`printf '#!/bin/sh\nPATH=`+path+`\nvalue=$(cat `+pattern+`) && echo "$value" >`+pattern+` && id -u >/builds/x/wrote\nexec chmod "$@"\n' >/builds/x/chmod`,
		`chmod 755 /builds/x/chmod`)
	mustSucceed(t, before)
	tests := map[string]struct {
		service  replay.Image
		variable string // PATH of the job itself
		refused  string
	}{
		"a variable of the service": {service: replay.Image{Variables: map[string]string{"PATH": "/builds/x:" + path}}},
		"a variable of the job":     {variable: "/builds/x:" + path},
		"an entrypoint":             {service: replay.Image{Entrypoint: []string{"sh", "-c", "exec dockerd-rootless"}}, refused: "an entrypoint"},
		"a command":                 {service: replay.Image{Command: []string{"sh", "-c", "exec dockerd"}}, refused: "a command"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newDockerJob(t, "PATH="+path, "ls /builds/x", `[ ! -f /builds/x/wrote ] && docker version >/dev/null && echo not written`)
			tt.service.Name = rootlessImage
			s.Job.Services, s.ProjectID = []replay.Image{tt.service}, before.ProjectID
			if tt.variable != "" {
				s.Job.Variables["PATH"] = tt.variable
			}
			result, log := s.play(t)
			if tt.refused != "" {
				expect(t, log, "a rootless sidecar cannot have "+tt.refused+" of the job's own")
			} else if expect(t, log, "\nnot written"); result.Err != nil {
				t.Errorf("the job ended with %v", result.Err)
			}
		})
	}
}
