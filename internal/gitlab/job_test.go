package gitlab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// environWith returns what GitLab Runner sets for a job with this response.
func environWith(t *testing.T, response string, jobVariables map[string]string) Environ {
	t.Helper()
	environ := Environ{
		"CUSTOM_ENV_CI_CONCURRENT_ID":          "3",
		"CUSTOM_ENV_CI_CONCURRENT_PROJECT_ID":  "1",
		"CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN":     "t1_abcdef",
		"CUSTOM_ENV_CI_RUNNER_VERSION":         "19.3.0",
		"CUSTOM_ENV_CI_RUNNER_EXECUTABLE_ARCH": "linux/amd64",
		"CUSTOM_ENV_CI_PROJECT_DIR":            "/builds/group/app",
	}
	for key, value := range jobVariables {
		environ[envJobPrefix+key] = value
	}
	if response != "" {
		path := filepath.Join(t.TempDir(), "response.json")
		if err := os.WriteFile(path, []byte(response), 0o600); err != nil {
			t.Fatal(err)
		}
		environ[envJobResponseFile] = path
	}
	return environ
}

const fullResponse = `{
  "id": 4242, "allow_git_fetch": true,
  "job_info": {"name": "build", "stage": "test", "pipeline_id": 9, "project_id": 77, "project_full_path": "group/app"},
  "git_info": {"protected": true},
  "runner_info": {"timeout": 120},
  "variables": [
    {"key": "CI_SERVER_URL", "value": "https://gitlab.example", "public": true},
    {"key": "CI_JOB_TOKEN", "value": "glcbt-1", "masked": true},
    {"key": "PRIVATE_ECR_IMAGE", "value": "$REGISTRY/app:$TAG", "public": true}
  ],
  "image": {"name": "$PRIVATE_ECR_IMAGE", "entrypoint": [""], "pull_policy": ["if-not-present"],
            "executor_opts": {"docker": {"platform": "linux/arm64", "user": 1000}}}
}`

func TestJobFromResponse(t *testing.T) {
	job, err := environWith(t, fullResponse, map[string]string{"CI_SERVER_URL": "https://gitlab.example"}).Job()
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Server: "https://gitlab.example", ID: 4242, ProjectID: 77}
	if job.Identity != want {
		t.Errorf("Identity = %+v, want %+v", job.Identity, want)
	}
	got := []any{
		job.PipelineID, job.ProjectPath, job.Name, job.Timeout, job.Protected, job.KeepSources,
		job.Runner, job.RunnerVersion, job.RunnerArch, job.Slot, job.ProjectDir,
		job.Image.Name, job.Image.Entrypoint, job.Image.PullPolicies,
		job.Image.Options.Docker.Platform, string(job.Image.Options.Docker.User),
	}
	wantFields := []any{
		int64(9), "group/app", "build", 2 * time.Minute, true, true,
		"t1_abcdef", "19.3.0", "linux/amd64", 1, "/builds/group/app",
		"$PRIVATE_ECR_IMAGE",
		[]string{""},
		[]string{"if-not-present"},
		"linux/arm64", "1000",
	}
	if !reflect.DeepEqual(got, wantFields) {
		t.Errorf("job =\n%v, want\n%v", got, wantFields)
	}
}

func TestJobFromEnvironmentAlone(t *testing.T) {
	job, err := environWith(t, "", map[string]string{
		"CI_JOB_ID": "5", "CI_PROJECT_ID": "6", "CI_SERVER_URL": "https://old.example",
		"CI_JOB_IMAGE": "busybox", "CI_COMMIT_REF_PROTECTED": "true", "GIT_STRATEGY": "fetch",
	}).Job()
	if err != nil {
		t.Fatal(err)
	}
	if job.ID != 5 || job.ProjectID != 6 || job.Server != "https://old.example" || job.Image.Name != "busybox" ||
		!job.Protected || !job.KeepSources || job.Timeout != time.Hour {
		t.Errorf("job = %+v", job)
	}
}

// A job's author may set any variable; none of them may lead the driver to
// another job's containers or volumes.
func TestAuthorCannotChangeIdentity(t *testing.T) {
	overrides := `{"id": 1, "job_info": {"project_id": 2}, "variables": [
		{"key": "CI_SERVER_URL", "value": "https://gitlab.example"},
		{"key": "CI_COMMIT_REF_PROTECTED", "value": "false"},
		{"key": "CI_JOB_ID", "value": "1"}, {"key": "CI_PROJECT_ID", "value": "2"},
		{"key": "CI_SERVER_URL", "value": "https://evil.example"},
		{"key": "CI_COMMIT_REF_PROTECTED", "value": "true"},
		{"key": "CI_JOB_ID", "value": "99"}, {"key": "CI_PROJECT_ID", "value": "99"}]}`
	environ := environWith(t, overrides, map[string]string{
		"CI_JOB_ID": "99", "CI_PROJECT_ID": "99", "CI_SERVER_URL": "https://evil.example", "CI_COMMIT_REF_PROTECTED": "true",
	})
	job, err := environ.Job()
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Server: "https://gitlab.example", ID: 1, ProjectID: 2}
	if job.Identity != want {
		t.Errorf("Identity = %+v, want %+v", job.Identity, want)
	}
	if job.Protected {
		t.Error("an author's CI_COMMIT_REF_PROTECTED was believed")
	}
	if id, err := environ.Identity(); err != nil || id != want {
		t.Errorf("Identity() = %+v, %v; want %+v", id, err, want)
	}

	for _, name := range runnerOwned {
		_, err := environWith(t, `{"id": 1, "variables": [{"key": "`+name+`", "value": "0"}]}`, nil).Job()
		if err == nil || !failure.IsBuild(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("a job that sets %s: error = %v, want a build failure that names it", name, err)
		}
	}
}

func TestBrokenResponse(t *testing.T) {
	tests := map[string]struct{ response, want string }{
		"not JSON":    {`{"id": 1,`, "JOB_RESPONSE_FILE"},
		"wrong types": {`{"id": "one"}`, "JOB_RESPONSE_FILE"},
		"user":        {`{"id": 1, "image": {"executor_opts": {"docker": {"user": {}}}}}`, "neither a string nor a number"},
		"no job id":   {`{}`, "no job"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := environWith(t, tt.response, nil).Job()
			if err == nil || failure.IsBuild(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want a system failure about %q", err, tt.want)
			}
		})
	}
	missing := Environ{envJobResponseFile: filepath.Join(t.TempDir(), "gone")}
	if _, err := missing.Job(); err == nil || failure.Remedy(err) == "" {
		t.Errorf("missing file: error = %v, want one with a remedy", err)
	}
	// Cleanup must still find what there is to remove.
	id, err := environWith(t, `{"id": `, map[string]string{"CI_JOB_ID": "7"}).Identity()
	if err != nil || id.ID != 7 {
		t.Errorf("Identity() = %+v, %v; want job 7", id, err)
	}
}

func TestConfigOutput(t *testing.T) {
	var out strings.Builder
	err := ConfigOutput{BuildsDir: "/builds", CacheDir: "/cache", Shell: "bash", Driver: DriverInfo{"driver", "v1"}}.Write(&out)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"builds_dir": "/builds", "cache_dir": "/cache", "builds_dir_is_shared": false, "shell": "bash",
		"driver": map[string]any{"name": "driver", "version": "v1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("printed %v, want %v", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "code")
	codes := Environ{envBuildFailureExitCode: "11", envSystemFailureExitCode: "12", envBuildExitCodeFile: file}.ExitCodes()
	if codes.Build != 11 || codes.System != 12 {
		t.Errorf("codes = %+v", codes)
	}
	if err := codes.SaveScriptExitCode(137); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "137" {
		t.Errorf("file holds %q, want just 137", got)
	}
	fallback := Environ{envBuildFailureExitCode: "x", envSystemFailureExitCode: "0"}.ExitCodes()
	if fallback.Build != 1 || fallback.System != 2 {
		t.Errorf("fallback codes = %+v", fallback)
	}
	if err := fallback.SaveScriptExitCode(1); err != nil {
		t.Errorf("an old runner without the file: %v", err)
	}
}
