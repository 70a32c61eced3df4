package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func script(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.")
	if err := os.WriteFile(file, []byte("set -e\n"+strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// prepared returns a job after its prepare stage.
func prepared(t *testing.T, image string) *subject {
	t.Helper()
	s := newJob(t, image)
	t.Cleanup(func() {
		if code, output := stage(t, s, "cleanup", nil); code != 0 {
			t.Errorf("cleanup exited with %d: %s", code, output)
		}
		s.expectNothingLeft(t)
	})
	if code, output := stage(t, s, "prepare", nil); code != 0 {
		t.Fatalf("prepare exited with %d: %s", code, output)
	}
	return s
}

// What GitLab Runner's scripts do for cache and artifacts really happens: they
// skip it with a mere warning where there is no gitlab-runner.
func TestCacheAndArtifactsCommandsAreReached(t *testing.T) {
	s := prepared(t, "app")
	// Played by a process called gitlab-runner, as its scripts of some versions
	// name it by the path of its own binary.
	runner := runnerShell(t)
	commands := func(stageName string, lines ...string) string {
		t.Helper()
		command := exec.Command(runner, "-c", `"$@"; exit $?`, "gitlab-runner", filepath.Join(binDir, "run"), script(t, lines...), stageName)
		command.Env = append(s.Env, env(s)...)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", stageName, err, out)
		}
		return string(out)
	}
	for _, name := range []string{"gitlab-runner", runner} {
		archived := commands("archive_cache", "mkdir -p /builds/app", "cd /builds/app", "echo kept > x",
			"if '"+name+"' --version >/dev/null 2>&1; then '"+name+"' cache-archiver --file ../../cache/app/k/cache.zip --timeout 10 --path x; else echo 'Missing'; fi")
		extracted := commands("restore_cache", "cd /builds/app", "rm x",
			"if '"+name+"' --version >/dev/null 2>&1; then '"+name+"' cache-extractor --file ../../cache/app/k/cache.zip; else echo 'Missing'; fi", "cat x")
		uploaded := commands("upload_artifacts_on_success", "'"+name+"' artifacts-uploader --url u --token t --id 1 --path README.md")
		if strings.Contains(archived+extracted, "Missing") || extracted != "kept\n" || !strings.Contains(uploaded, "uploading README.md") {
			t.Errorf("%s: archived %q, extracted %q, uploaded %q", name, archived, extracted, uploaded)
		}
	}
}

func env(s *subject) []string {
	return []string{
		"CUSTOM_ENV_CI_JOB_ID=" + itoa(s.JobID), "CUSTOM_ENV_CI_PROJECT_ID=" + itoa(s.ProjectID),
		"CUSTOM_ENV_CI_SERVER_URL=https://gitlab.example.com", "CUSTOM_ENV_CI_PROJECT_DIR=/builds/app",
		"CUSTOM_ENV_CI_JOB_IMAGE=" + s.Job.Image.Name,
	}
}

// A stage that is not known is GitLab Runner's own: it runs where git is.
func TestUnknownStageRunsInTheHelper(t *testing.T) {
	s := prepared(t, "app")
	for stageName, want := range map[string]string{"clear_worktree": "helper", "of_the_future": "helper", "step_release": "job", "after_script": "job"} {
		code, output := stage(t, s, "run", nil, script(t, "if command -v git >/dev/null; then echo helper; else echo job; fi"), stageName)
		if code != 0 || strings.TrimSpace(output) != want {
			t.Errorf("stage %s ran in %q (exit code %d), want %s", stageName, output, code, want)
		}
	}
}

func TestExitCodeFile(t *testing.T) {
	s := prepared(t, "app")
	file := filepath.Join(t.TempDir(), "code")
	code, _ := stage(t, s, "run", []string{"BUILD_EXIT_CODE_FILE=" + file}, script(t, "exit 7"), "build_script")
	if saved, _ := os.ReadFile(file); code != 41 || string(saved) != "7" {
		t.Errorf("exit code %d, file %q; want 41 and 7", code, saved)
	}
	if code, _ = stage(t, s, "run", nil, script(t, "exit 7"), "build_script"); code != 41 {
		t.Errorf("exit code %d with an old runner, want 41", code)
	}
}

// Cleanup may be called twice, and after a prepare that was killed half-way;
// the next try replaces what stands in its way.
func TestCleanupTwiceAndAfterHalfAPrepare(t *testing.T) {
	s := prepared(t, "app")
	if out, err := exec.Command("docker", "rm", "-fv", lines("docker", "ps", "-aq", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(s.JobID),
		"--filter", "name=-helper")[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for range 2 {
		if code, output := stage(t, s, "cleanup", nil); code != 0 || strings.Contains(output, "WARNING") {
			t.Errorf("cleanup exited with %d: %s", code, output)
		}
		s.expectNothingLeft(t)
	}
}

// One job's cleanup leaves another's containers alone.
func TestCleanupIsForOneJob(t *testing.T) {
	first, second := prepared(t, "app"), prepared(t, "app")
	if code, output := stage(t, first, "cleanup", nil); code != 0 {
		t.Fatalf("cleanup exited with %d: %s", code, output)
	}
	code, output := stage(t, second, "run", nil, script(t, "echo alive"), "build_script")
	if code != 0 || strings.TrimSpace(output) != "alive" {
		t.Errorf("the other job: exit code %d, %q", code, output)
	}
}

// Volumes that the image declares go with the container.
func TestAnonymousVolumesAreRemoved(t *testing.T) {
	s := prepared(t, "volume")
	container := lines("docker", "ps", "-aq", "--filter", "label=gitlab-ecr-executor.job.id="+itoa(s.JobID), "--filter", "name=-build")[0]
	volumes := lines("docker", "inspect", "--format", `{{range .Mounts}}{{if eq .Destination "/declared"}}{{.Name}}{{end}}{{end}}`, container)
	if len(volumes) != 1 {
		t.Fatalf("the image's volume: %q", volumes)
	}
	if code, output := stage(t, s, "cleanup", nil); code != 0 {
		t.Fatalf("cleanup exited with %d: %s", code, output)
	}
	if err := exec.Command("docker", "volume", "inspect", volumes[0]).Run(); err == nil {
		t.Error("the anonymous volume is still there")
	}
}
