package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// newCachedJob returns a job of project that keeps its daemon's images.
func newCachedJob(t *testing.T, project int64, state string, script ...string) *subject {
	t.Helper()
	s := newDockerJob(t, script...)
	if project != 0 {
		s.ProjectID = project
	}
	return s.set("ECR_EXECUTOR_DIND_CACHE=project", "ECR_EXECUTOR_STATE_DIR="+state)
}

func cacheOf(project int64) []string {
	return lines("docker", "volume", "ls", "-q", "--filter", "label=gitlab-ecr-executor.dind-cache", "--filter", "label=gitlab-ecr-executor.project.id="+itoa(project))
}

// The next job of the project finds images, but no containers and volumes.
func TestDindCache(t *testing.T) {
	state := t.TempDir()
	first := newCachedJob(t, 0, state, `docker pull -q "$PRIVATE"`, `docker run -d --restart=always -v left:/x --name left "$PRIVATE" sleep 600`, "docker network create left", "touch /builds/marker")
	mustSucceed(t, first)
	second := newCachedJob(t, first.ProjectID, state, `echo images $(docker images -q | wc -l)`,
		`echo left $(docker ps -aq | wc -l) $(docker volume ls -q | wc -l) $(docker network ls -q --filter name=left | wc -l)`)
	expect(t, mustSucceed(t, second), "with the cache of this project", "images 1", "left 0 0 0")
	if caches := cacheOf(first.ProjectID); len(caches) != 1 {
		t.Errorf("caches = %q", caches)
	}

	// Two daemons never share a cache: while one job has it, another of the same
	// slot begins without.
	holder := newCachedJob(t, first.ProjectID, state, "echo holding", "sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan replay.Result, 1)
	go func() { done <- replay.Run(ctx, holder.Options) }()
	waitFor(t, func() bool { return strings.Contains(holder.log.String(), "\nholding\n") })
	other := newCachedJob(t, first.ProjectID, state, `echo images $(docker images -q | wc -l)`)
	expect(t, mustSucceed(t, other), "is in use by another job: beginning without", "images 0")
	cancel()
	<-done
	holder.expectNothingLeft(t)

	// What a job has put into the store leads nobody out of it.
	if len(lines("docker", "run", "--rm", "--network", "none", "-v", cacheOf(first.ProjectID)[0]+":/v", helperImage, "sh", "-c",
		"mkdir -p /v/image/x/layerdb && ln -s /builds /v/image/x/layerdb/mounts && mkfifo /v/image/pipe && echo planted")) != 1 {
		t.Fatal("nothing planted")
	}
	planted := newCachedJob(t, first.ProjectID, state, `echo images $(docker images -q | wc -l)`, `echo sources $(ls /builds)`)
	expect(t, mustSucceed(t, planted), "with the cache of this project", "images 1", "sources marker replay")

	// A store that the daemon cannot read is thrown away.
	breakIt := lines("docker", "run", "--rm", "--network", "none", "-v", cacheOf(first.ProjectID)[0]+":/v", helperImage,
		"sh", "-c", "rm -rf /v/image && echo garbage > /v/image && echo broken")
	if len(breakIt) != 1 {
		t.Fatal("the cache could not be broken")
	}
	mended := newCachedJob(t, first.ProjectID, state, `echo images $(docker images -q | wc -l)`, `docker pull -q "$PRIVATE"`)
	expect(t, mustSucceed(t, mended), "does not start with the cache", "Removing the cache and starting anew", "images 0")
}

// Above the bound, the cache that was not used for the longest time goes first;
// one that is in use stays.
func TestDindCacheIsBounded(t *testing.T) {
	state := t.TempDir()
	old := newCachedJob(t, 0, state, `docker pull -q "$PRIVATE"`)
	mustSucceed(t, old)
	recent := newCachedJob(t, 0, state, `docker pull -q "$PRIVATE"`)
	mustSucceed(t, recent)
	if len(cacheOf(old.ProjectID)) != 1 || len(cacheOf(recent.ProjectID)) != 1 {
		t.Fatal("no caches to remove")
	}
	// Each of them holds the image, about 2 MB.
	if err := os.Remove(filepath.Join(state, "dind-caches", ".looked")); err != nil {
		t.Fatal(err)
	}
	bounded := newJob(t, "app", "true").set("ECR_EXECUTOR_DIND_CACHE=project", "ECR_EXECUTOR_STATE_DIR="+state, "ECR_EXECUTOR_DIND_CACHE_SIZE=3m")
	bounded.Debug = true
	expect(t, mustSucceed(t, bounded), "Removed cache gitlab-dind-")
	if len(cacheOf(old.ProjectID)) != 0 || len(cacheOf(recent.ProjectID)) != 1 {
		t.Errorf("caches: %q of the older project, %q of the newer, want none and one", cacheOf(old.ProjectID), cacheOf(recent.ProjectID))
	}
}

// A daemon that a killed runner left does not keep the cache from the next job.
func TestDindCacheOfOrphans(t *testing.T) {
	state := t.TempDir()
	orphan := newCachedJob(t, 0, state)
	orphan.set("CUSTOM_ENV_ECR_DIND=true", "ECR_EXECUTOR_DIND_IMAGE="+dindImage, "CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=replay-1")
	if out, err := asRunner(t, orphan, "$BIN/prepare").CombinedOutput(); err != nil || !strings.Contains(string(out), "with the cache of this project") {
		t.Fatalf("%v\n%s", err, out)
	}
	expect(t, mustSucceed(t, newCachedJob(t, orphan.ProjectID, state, "true")), "with the cache of this project")
	orphan.expectNothingLeft(t)
}
