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

// A job that has its own way with the sidecar itself, not only with its daemon,
// is root outside of the user namespace, where the paths of /proc that Docker
// masks are open. docs/security.md says so.
func TestSecurityRootlessOutside(t *testing.T) {
	const pattern = "/proc/sys/kernel/core_pattern"
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	before := newDockerJob(t, "mkdir -m 777 /builds/x",
		`cp /usr/bin/tee /builds/x/tee; chmod 4755 /builds/x/tee`,
		`printf '#!/bin/sh\nPATH=`+path+`\nvalue=$(cat `+pattern+`) && echo "$value" >`+pattern+` && id -u >/builds/x/wrote\nexec chmod "$@"\n' >/builds/x/chmod`,
		`chmod 755 /builds/x/chmod`)
	mustSucceed(t, before)
	for name, service := range map[string]replay.Image{
		"by a variable": {Variables: map[string]string{"PATH": "/builds/x:" + path}},
		"by its entrypoint and a setuid file": {Entrypoint: []string{"sh", "-c", `value=$(cat ` + pattern + `)
(echo "$value" >` + pattern + `) || echo "$value" | /builds/x/tee ` + pattern + ` && echo setuid >/builds/x/wrote
exec dockerd-rootless "$@"`, "sidecar"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newDockerJob(t, "echo wrote as $(cat /builds/x/wrote); rm /builds/x/wrote")
			service.Name = rootlessImage
			s.Job.Services, s.ProjectID = []replay.Image{service}, before.ProjectID
			if log := mustSucceed(t, s); !strings.Contains(log, "wrote as 0") && !strings.Contains(log, "wrote as setuid") {
				t.Errorf("this no longer works, docs/security.md says that it does:\n%s", log)
			}
		})
	}
}
