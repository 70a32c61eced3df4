package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// A script that runs longer than a token lives keeps its access, and what the
// job logged in to itself stays as it is.
func TestDindTokenIsRenewed(t *testing.T) {
	own := ecr.Token() // lives long
	ecr.SetLifetime(6 * time.Second)
	t.Cleanup(func() { ecr.SetLifetime(12 * time.Hour) })
	s := newDockerJob(t,
		`echo "$OWN" | docker login -u me --password-stdin `+inner+` 2>&1 | tail -1`,
		`docker logout `+inner+` >/dev/null 2>&1`,
		`printf %s "me:$OWN" | base64 -w0 > /tmp/own`,
		`docker pull -q "$SECOND"`,
		`before=$(grep -A1 "\"$SECOND_HOST\"" "$DOCKER_CONFIG/config.json" | md5sum)`,
		`end=$(($(date +%s) + 14)); while [ $(date +%s) -lt $end ]; do docker rmi -f "$SECOND" >/dev/null; docker pull -q "$SECOND" >/dev/null || exit 9; done`,
		`after=$(grep -A1 "\"$SECOND_HOST\"" "$DOCKER_CONFIG/config.json" | md5sum)`,
		`[ "$before" = "$after" ] || echo "the token is another one"`,
		`docker pull "$PRIVATE" 2>&1 | tail -1`,
	)
	second, err := ecr.Reach()
	if err != nil {
		t.Fatal(err)
	}
	s.Job.Variables["SECOND"], s.Job.Variables["SECOND_HOST"] = second+"/app:v1", second
	s.Secrets = map[string]string{"OWN": own}
	// The state of other tests has a token that lives long.
	s.set(ecr.Env()...).set("ECR_EXECUTOR_STATE_DIR="+t.TempDir(), "ECR_EXECUTOR_DIND_INSECURE_REGISTRIES="+inner+","+second)
	result, log := s.play(t)
	var build *replay.BuildError
	if !errors.As(result.Err, &build) {
		t.Errorf("the job ended with %v: it had logged out of a registry", result.Err)
	}
	expect(t, log, "the token is another one", "no basic auth credentials")
}

// Nothing of the credentials is where others could read it.
func TestDindLeaksNothing(t *testing.T) {
	s := newDockerJob(t, `docker pull -q "$PRIVATE"`, `docker run --rm "$PRIVATE" env`, "env", "echo ready", "sleep 600")
	s.Secrets = map[string]string{"PASSWORD": "hunter2-hunter2"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(ctx, s.Options) }()
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "\nready\n") })

	var seen bytes.Buffer
	seen.WriteString(s.log.String())
	filter := "label=gitlab-ecr-executor.job.id=" + itoa(s.JobID)
	containers := lines("docker", "ps", "-aq", "--filter", filter)
	if len(containers) != 3 {
		t.Fatalf("%d containers, want helper, job and sidecar", len(containers))
	}
	inspect := append([]string{"inspect"}, containers...)
	inspect = append(inspect, lines("docker", "volume", "ls", "-q", "--filter", filter)...)
	collect := func(words ...string) {
		out, err := exec.Command("docker", words...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", words[0], err, out)
		}
		seen.Write(out)
	}
	collect(inspect...)
	for _, id := range containers {
		out, _ := exec.Command("docker", "logs", id).CombinedOutput() // that of scripts is not kept
		seen.Write(out)
		collect("top", id, "-ef")
	}
	collect("diff", containers[0])
	// On disk: some volumes outlive the job, the others do when the host crashes.
	volumes := lines("docker", "volume", "ls", "-q", "--filter", "label=gitlab-ecr-executor.project.id="+itoa(s.ProjectID))
	if len(volumes) < 4 {
		t.Errorf("volumes %q, want those of sources, cache, daemon and credentials", volumes)
	}
	for _, volume := range volumes {
		if strings.HasSuffix(volume, "-docker") {
			continue // in memory
		}
		collect("run", "--rm", "--network", "none", "-v", volume+":/v:ro", helperImage, "sh", "-c",
			"grep -rlE 'tok-|QVdTOnRvay|"+ecrtest.SecretKey[:12]+"' /v | sed 's/^/LEAK /'")
	}
	cancel()
	<-done
	s.expectNothingLeft(t)
	text := seen.String()
	for what, secret := range map[string]string{
		"a token": "tok-", "an encoded token": base64.StdEncoding.EncodeToString([]byte("AWS:tok-"))[:10],
		"the AWS key": ecrtest.SecretKey, "the AWS key id": ecrtest.AccessKeyID, "a masked variable": "hunter2", "a file": "LEAK ",
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s shows: ...%s...", what, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// DOCKER_AUTH_CONFIG of the job serves its images, and the script.
func TestDockerAuthConfig(t *testing.T) {
	s := newDockerJob(t, `docker pull -q "$PRIVATE"`)
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + ecr.Token()))
	s.Secrets = map[string]string{"DOCKER_AUTH_CONFIG": `{"auths": {"` + inner + `": {"auth": "` + auth + `"}, "` + ecr.Host() + `": {"auth": "` + auth + `"}}}`}
	s.Job.Services = append(s.Job.Services, replay.Image{Name: ecr.Host() + "/app:v1", Alias: "plain", PullPolicies: []string{"always"}})
	s.set("ECR_EXECUTOR_ECR_HOSTS=", "ECR_EXECUTOR_ALLOWED_PULL_POLICIES=always,if-not-present")
	calls := ecr.TokenCalls()
	expect(t, mustSucceed(t, s), "with credentials from the job's DOCKER_AUTH_CONFIG", "logged in to "+inner)
	if ecr.TokenCalls() != calls {
		t.Error("ECR was asked although the job brings credentials")
	}
}
