package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// newDockerJob returns a job with a DinD sidecar, whose script has a docker
// client and finds the private image $PRIVATE in the registry.
func newDockerJob(t *testing.T, script ...string) *subject {
	t.Helper()
	s := newJob(t, dindImage, script...)
	s.Job.Services = []replay.Image{{Name: dindImage}}
	s.Job.Variables["PRIVATE"] = inner + "/app:v1"
	return s
}

// The example of the README: pull, run, build and push, and not a line of login.
func TestDindExample(t *testing.T) {
	job, err := replay.ReadJob("../../examples/dind.yml", "")
	if err != nil {
		t.Fatal(err)
	}
	s := newJob(t, dindImage)
	s.Job = job
	s.Job.Variables["ECR_REGISTRY"], s.Job.Variables["PRIVATE_ECR_IMAGE"] = inner, inner+"/app:v1"
	s.Job.Variables["DOCKER_IMAGE"], s.Job.Variables["DIND_IMAGE"] = dindImage, dindImage
	expect(t, mustSucceed(t, s), "Downloaded newer image for "+inner+"/app:v1", "hello from inside", "Successfully built",
		"built: digest: sha256:", "AWS variables in the job: 0", "is ready (")
}

func TestDindTransports(t *testing.T) {
	tests := map[string]struct {
		variables map[string]string
		alias     string
		command   []string
		says      []string
	}{
		"nothing said": {says: []string{"host unix:///gitlab-docker/docker.sock", "server up", "2375 closed", "2376 closed"}},
		"plain": {
			variables: map[string]string{"DOCKER_TLS_CERTDIR": ""},
			says:      []string{"host tcp://docker:2375", "server up", "2376 closed"},
		},
		"TLS": {
			variables: map[string]string{"DOCKER_TLS_CERTDIR": "/certs"},
			says:      []string{"host tcp://docker:2376", "server up", "verify 1", "2375 closed", "without a certificate: refused"},
		},
		"TLS as documented by GitLab": {
			variables: map[string]string{
				"DOCKER_HOST": "tcp://docker:2376", "DOCKER_TLS_CERTDIR": "/certs", "DOCKER_TLS_VERIFY": "1",
				"DOCKER_CERT_PATH": "$DOCKER_TLS_CERTDIR/client",
			},
			says: []string{"host tcp://docker:2376", "server up", "2375 closed"},
		},
		"plain under an alias": {
			variables: map[string]string{"DOCKER_HOST": "tcp://engine:2375"}, alias: "engine",
			says: []string{"host tcp://engine:2375", "server up"},
		},
		"flags of the job": {
			command: []string{"--default-shm-size=99m"},
			says:    []string{"host unix:///gitlab-docker/docker.sock", "server up", "shm 99"},
		},
		"a command of the job": {
			variables: map[string]string{"DOCKER_TLS_CERTDIR": ""},
			command:   []string{"sh", "-c", "exec dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2375 --tls=false --default-shm-size=99m --insecure-registry=" + inner},
			says:      []string{"host tcp://docker:2375", "server up", "shm 99"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			closed := `bash -c "exec 3<>/dev/tcp/docker/%[1]s" 2>/dev/null || echo %[1]s closed`
			s := newDockerJob(t, "echo host $DOCKER_HOST", "docker version >/dev/null && echo server up", "echo verify $DOCKER_TLS_VERIFY",
				fmt.Sprintf(closed, "2375"), fmt.Sprintf(closed, "2376"))
			if name == "TLS" {
				s.Job.Script = append(s.Job.Script, "(env -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH docker version 2>&1 || true) | grep -q 'HTTP request to an HTTPS server' && echo without a certificate: refused")
			}
			if tt.command != nil {
				s.Job.Script = append(s.Job.Script, `docker pull -q "$PRIVATE"`,
					`echo shm $(docker run --rm "$PRIVATE" df -m /dev/shm | awk 'END{print $2}')`)
			}
			for key, value := range tt.variables {
				s.Job.Variables[key] = value
			}
			s.Job.Services[0].Alias, s.Job.Services[0].Command = tt.alias, tt.command
			expect(t, mustSucceed(t, s), tt.says...)
		})
	}
}

// A job may ask for a sidecar without naming it, and have it in any image.
func TestDindByVariable(t *testing.T) {
	s := newJob(t, dindImage, "docker info --format 'storage {{.Driver}}'")
	s.Job.Variables["ECR_DIND"] = "true"
	s.set("ECR_EXECUTOR_DIND_IMAGE=" + dindImage)
	expect(t, mustSucceed(t, s), "Starting Docker daemon "+dindImage, "storage overlay2")
}

// The containers of the daemon see the job's sources under the same path, have
// limits and publish ports that the script reaches.
func TestDindContainers(t *testing.T) {
	s := newDockerJob(t,
		`docker pull -q "$PRIVATE"`,
		`docker run --rm -v "$CI_PROJECT_DIR:/src" "$PRIVATE" cat /src/committed.txt`,
		`echo memory $(docker run --rm --memory 64m "$PRIVATE" cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null)`,
		`docker run -d --name web -p 8080:80 "$PRIVATE" sh -c 'echo served > /tmp/index.html; httpd -f -p 80 -h /tmp' >/dev/null`,
		`for try in $(seq 100); do page=$(bash -c 'exec 3<>/dev/tcp/docker/8080 && printf "GET /index.html HTTP/1.0\r\n\r\n" >&3 && cat <&3' 2>/dev/null) && [ -n "$page" ] && break; sleep 0.1; done`,
		`echo "$page"`,
		`docker network create inside >/dev/null`,
		`docker run -d --name one --network inside "$PRIVATE" sleep 60 >/dev/null`,
		`docker run --rm --network inside "$PRIVATE" ping -c 1 one | grep "1 packets received"`,
	)
	s.GitDir = gitRepository(t)
	expect(t, mustSucceed(t, s), "from a commit", "memory 67108864", "\nserved", "1 packets received")
}

// Images with a user of their own use daemon and credentials too, a login of the
// job's own works and stays beside ours, and other clients read the same file.
func TestDindCredentials(t *testing.T) {
	s := newDockerJob(t,
		"id -u",
		`docker pull -q "$PRIVATE"`,
		`(docker pull -q "$OTHER/app:v1" 2>&1 || true) | grep -o "no basic auth credentials"`,
		`echo "$TOKEN" | docker login -u AWS --password-stdin "$OTHER" 2>&1 | tail -1`,
		`docker pull "$OTHER/app:v1" | tail -1`,
		`skopeo inspect --tls-verify=false "docker://$PRIVATE" | grep '"Name"'`,
		`skopeo inspect --tls-verify=false "docker://$OTHER/app:v1" | grep '"Name"'`,
		`docker rmi -f "$PRIVATE" >/dev/null; docker pull -q "$PRIVATE" >/dev/null && echo both work`,
	)
	s.Job.AfterScript = []string{`grep -c '"auth"' "$DOCKER_CONFIG/config.json"`, `docker pull -q "$OTHER/app:v1" && docker pull -q "$PRIVATE" && echo still`}
	other, err := ecr.Reach() // the driver does not know that it is an ECR
	if err != nil {
		t.Fatal(err)
	}
	s.set("ECR_EXECUTOR_DIND_INSECURE_REGISTRIES=" + inner + "," + other)
	s.Job.Variables["OTHER"] = other
	s.Job.Image.Docker.User = "1000"
	s.Secrets = map[string]string{"TOKEN": ecr.Token()}
	expect(t, mustSucceed(t, s), "\n1000\n", "no basic auth credentials", "Login Succeeded", `"Name": "`+inner+`/app"`, `"Name": "`+other+`/app"`,
		"both work", "\n2\n", "\nstill")
}

func TestDindMistakes(t *testing.T) {
	tests := map[string]struct {
		arrange func(s *subject)
		build   bool
		says    []string
	}{
		"not allowed": {
			func(s *subject) { s.set("ECR_EXECUTOR_ALLOWED_SERVICES=docker:*") }, true,
			[]string{"service " + dindImage, "is not allowed on this runner", "docker:*"},
		},
		"certificates in a folder of the image": {
			func(s *subject) { s.Job.Variables["DOCKER_TLS_CERTDIR"] = "/etc" }, true,
			[]string{`DOCKER_TLS_CERTDIR is "/etc"`, `set it to "/certs"`},
		},
		"relative folder of certificates": {
			func(s *subject) { s.Job.Variables["DOCKER_TLS_CERTDIR"] = "certs" }, true,
			[]string{`DOCKER_TLS_CERTDIR is "certs"`},
		},
		"two daemons": {
			func(s *subject) { s.Job.Services = append(s.Job.Services, replay.Image{Name: dindImage}) }, true,
			[]string{"has a Docker daemon already"},
		},
		"the daemon ends at once": {
			func(s *subject) { s.Job.Services[0].Command = []string{"--no-such-flag"} }, false,
			[]string{"the Docker daemon of the job", "is not up: it ended with exit code", "unknown flag: --no-such-flag"},
		},
		"an image that is missing": {
			func(s *subject) { s.Job.Services[0].Name = ecr.Host() + "/test-dind-nowhere:v1" }, true,
			[]string{"sidecar image", "test-dind-nowhere"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newDockerJob(t, "echo never run")
			tt.arrange(s)
			result, log := s.play(t)
			var build *replay.BuildError
			if result.Err == nil || errors.As(result.Err, &build) != tt.build {
				t.Errorf("the job ended with %v, want a build failure: %v", result.Err, tt.build)
			}
			expect(t, log, tt.says...)
			if strings.Contains(log, "\nnever run") {
				t.Errorf("the script ran:\n%s", log)
			}
		})
	}
}

// An engine runs a privileged sidecar for an image that may be, or says what to
// do instead.
func TestDindPrivileged(t *testing.T) {
	s := newDockerJob(t, "docker info --format 'driver {{.Driver}}'")
	s.set("ECR_EXECUTOR_DIND_SECURITY=privileged", "ECR_EXECUTOR_ALLOWED_PRIVILEGED_SERVICES="+dindImage)
	result, log := s.play(t)
	if result.Err == nil {
		expect(t, log, "driver overlay2", ", privileged)")
	} else {
		expect(t, log, "starting container", "set ECR_EXECUTOR_DIND_SECURITY=confined", "Will be retried")
	}

	s = newDockerJob(t, "docker info --format 'driver {{.Driver}}'").set("ECR_EXECUTOR_DIND_SECURITY=privileged")
	expect(t, mustSucceed(t, s), "is not in ECR_EXECUTOR_ALLOWED_PRIVILEGED_SERVICES: it runs confined", "driver overlay2")
}

// What a registry refuses in the script gets a line of ours at the end.
func TestDindHint(t *testing.T) {
	ecr.Deny("refused")
	s := newDockerJob(t, "docker pull "+inner+"/refused:v1")
	result, log := s.play(t)
	if result.Err == nil {
		t.Error("the job succeeded")
	}
	expect(t, log, "is not authorized to perform: ecr:BatchGetImage", "the role of this runner may not do that in ECR")

	s = newDockerJob(t, "DOCKER_CONFIG=/nowhere docker pull $PRIVATE")
	result, log = s.play(t)
	if result.Err == nil {
		t.Error("the job succeeded")
	}
	expect(t, log, "no basic auth credentials", "a registry was asked without credentials")
}

// The containers inside ask the DNS server that the operator names, or this
// host's; limits of services are for the daemon and all that it runs.
func TestDindFit(t *testing.T) {
	s := newDockerJob(t,
		`docker pull -q "$PRIVATE"`,
		`echo inside: $(docker run --rm "$PRIVATE" cat /etc/resolv.conf)`,
		`echo mtu $(docker run --rm "$PRIVATE" cat /sys/class/net/eth0/mtu)`,
		`docker info --format '{{.RegistryConfig.Mirrors}} {{.HTTPProxy}} {{.NoProxy}}'`,
		`docker run --rm --shm-size 1g "$PRIVATE" sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=300 2>/dev/null; echo survived' || echo "out of memory"`,
	)
	s.Job.Variables["HTTP_PROXY"] = "http://192.0.2.77:3128"
	s.Job.Variables["NO_PROXY"] = "docker," + strings.Split(inner, ":")[0]
	s.set("ECR_EXECUTOR_DNS=192.0.2.53", "ECR_EXECUTOR_NETWORK_MTU=1400", "ECR_EXECUTOR_DIND_REGISTRY_MIRRORS=http://mirror.example:5000",
		"ECR_EXECUTOR_SERVICE_MEMORY=200m")
	log := mustSucceed(t, s)
	expect(t, log, "nameserver 192.0.2.53", "mtu 1400", "[http://mirror.example:5000/] http://192.0.2.77:3128", ",localhost,127.0.0.1,", "docker")
	if strings.Contains(log, "\nsurvived") {
		t.Errorf("the limit of services is not the daemon's:\n%s", log)
	}
}

// A variable with a registry that only looks like ECR gets no token, and the
// config holds none but those of the registries that the job names.
func TestDindLookAlikes(t *testing.T) {
	s := newDockerJob(t, `cat "$DOCKER_CONFIG/config.json"`)
	s.Job.Variables["EVIL"] = "111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example/app"
	s.Job.Variables["USERINFO"] = "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com@evil.example/"
	s.Job.Variables["PORT"] = "111122223333.dkr.ecr.eu-west-1.amazonaws.com:8443/app"
	s.Job.Variables["REAL"] = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/app"
	log := mustSucceed(t, s)
	expect(t, log, `"`+inner+`": {`, `"111122223333.dkr.ecr.eu-west-1.amazonaws.com": {`)
	if strings.Contains(log, "evil") || strings.Contains(log, "8443") {
		t.Errorf("a look-alike got credentials:\n%s", log)
	}
}

// A daemon that ends while the script runs is named as the cause.
func TestDindDaemonEnds(t *testing.T) {
	s := newDockerJob(t, `docker pull -q "$PRIVATE"`,
		`docker run --rm --pid host "$PRIVATE" kill -TERM 1 || true`, `while docker version >/dev/null; do sleep 0.1; done`, `docker version`)
	result, log := s.play(t)
	if result.Err == nil {
		t.Error("the job succeeded")
	}
	expect(t, log, "The Docker daemon of the job has ended: exit code 0", "Daemon shutdown complete")
}
