package integration

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// A rootless sidecar does the same for a job, without any capability.
func TestDindRootless(t *testing.T) {
	for name, settings := range map[string][]string{
		"by setting": {"ECR_EXECUTOR_DIND_SECURITY=rootless"},
		"by image":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := newDockerJob(t,
				`docker pull -q "$PRIVATE"`,
				`docker run --rm -v "$CI_PROJECT_DIR:/src" "$PRIVATE" cat /src/committed.txt`,
				`docker run -d -p 8080:80 "$PRIVATE" sh -c 'echo served > /tmp/index.html; httpd -f -p 80 -h /tmp' >/dev/null`,
				`for try in $(seq 100); do page=$(bash -c 'exec 3<>/dev/tcp/docker/8080 && printf "GET /index.html HTTP/1.0\r\n\r\n" >&3 && cat <&3' 2>/dev/null) && [ -n "$page" ] && break; sleep 0.1; done`,
				`echo "$page"`,
				`printf 'FROM %s\nRUN id -u > /built\n' "$PRIVATE" | docker build -q -t `+inner+`/app:rootless - && docker push -q `+inner+`/app:rootless`,
				`docker info --format '{{.SecurityOptions}}'`,
			)
			s.Job.Services[0].Name = rootlessImage
			s.GitDir = gitRepository(t)
			s.set(settings...)
			expect(t, mustSucceed(t, s), "(rootless)", "from a commit", "\nserved", "name=rootless", inner+"/app:rootless")
		})
	}
	t.Run("TLS", func(t *testing.T) {
		s := newDockerJob(t, "docker version >/dev/null && echo up at $DOCKER_HOST")
		s.Job.Services[0].Name = rootlessImage
		s.Job.Variables["DOCKER_TLS_CERTDIR"] = "/certs"
		expect(t, mustSucceed(t, s), "up at tcp://docker:2376")
	})
	t.Run("an image of root", func(t *testing.T) {
		s := newDockerJob(t, "true").set("ECR_EXECUTOR_DIND_SECURITY=rootless")
		result, log := s.play(t)
		if result.Err == nil {
			t.Error("the job succeeded")
		}
		expect(t, log, "the user of the rootless sidecar "+dindImage+" is root", "docker:dind-rootless")
	})
}

// Setuid helpers cannot map users in a sidecar without capabilities: the driver
// says what to do.
func TestDindRootlessSetuid(t *testing.T) {
	const image = "gitlab-ecr-executor/test-dind-rootless-setuid:latest"
	id := lines("docker", "create", "--user", "0", "--entrypoint", "sh", rootlessImage, "-c", "setcap -r /usr/bin/newuidmap; chmod u+s /usr/bin/newuidmap")
	if len(id) != 1 {
		t.Fatal("no container to make the image from")
	}
	for _, words := range [][]string{
		{"start", "-a", id[0]},
		{"commit", "--change", "USER rootless", "--change", `ENTRYPOINT ["dockerd-rootless"]`, id[0], image},
		{"rm", "-v", id[0]},
	} {
		if out, err := exec.Command("docker", words...).CombinedOutput(); err != nil {
			t.Fatalf("docker %s: %v\n%s", words[0], err, out)
		}
	}
	defer func() { _ = exec.Command("docker", "rmi", image).Run() }()
	s := newDockerJob(t, "true")
	s.Job.Services = []replay.Image{{Name: image}}
	result, log := s.play(t)
	if result.Err == nil || strings.Contains(log, "Job succeeded") {
		t.Error("the job succeeded")
	}
	expect(t, log, "newuidmap", "file capabilities in place of setuid")
}
