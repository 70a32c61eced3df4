package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
)

// variable is a variable of the job on the wire.
type variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
}

// sent returns the variables as GitLab would send them: predefined ones first,
// then the job's own.
func (r *run) sent() []variable {
	o := r.opts
	predefined := []variable{
		{Key: "CI", Value: "true", Public: true},
		{Key: "GITLAB_CI", Value: "true", Public: true},
		{Key: "CI_SERVER_URL", Value: "https://gitlab.example.com", Public: true},
		{Key: "CI_PIPELINE_ID", Value: "1", Public: true},
		{Key: "CI_JOB_ID", Value: strconv.FormatInt(o.JobID, 10), Public: true},
		{Key: "CI_JOB_NAME", Value: o.Job.Name, Public: true},
		{Key: "CI_JOB_TOKEN", Value: jobToken, Masked: true},
		{Key: "CI_PROJECT_ID", Value: strconv.FormatInt(o.ProjectID, 10), Public: true},
		{Key: "CI_PROJECT_PATH", Value: projectPath, Public: true},
		{Key: "CI_COMMIT_SHA", Value: r.sha, Public: true},
		{Key: "CI_COMMIT_REF_NAME", Value: "main", Public: true},
		{Key: "CI_COMMIT_REF_PROTECTED", Value: "false", Public: true},
		{Key: "CI_RUNNER_ID", Value: "1", Public: true},
	}
	for _, key := range slices.Sorted(maps.Keys(o.Job.Variables)) {
		predefined = append(predefined, variable{Key: key, Value: o.Job.Variables[key], Public: true})
	}
	for _, key := range slices.Sorted(maps.Keys(o.Secrets)) {
		predefined = append(predefined, variable{Key: key, Value: o.Secrets[key], Masked: true, Raw: true})
	}
	return predefined
}

const (
	jobToken    = "glcbt-64_replay-job-token"
	projectPath = "replay/project"
)

// variables returns all variables, expanded once as GitLab Runner does
// (gitlab-runner common/build.go, GetAllVariables).
func (r *run) variables() []variable {
	all := []variable{
		{Key: "CI_JOB_IMAGE", Value: r.opts.Job.Image.Name},
		{Key: "CI_RUNNER_SHORT_TOKEN", Value: "replay-1"},
		{Key: "CI_BUILDS_DIR", Value: r.buildsDir},
		{Key: "CI_PROJECT_DIR", Value: r.projectDir()},
		{Key: "CI_CONCURRENT_ID", Value: strconv.Itoa(r.opts.ConcurrentID)},
		{Key: "CI_CONCURRENT_PROJECT_ID", Value: strconv.Itoa(r.opts.ConcurrentID)},
		{Key: "CI_SERVER", Value: "yes"},
		{Key: "CI_JOB_STATUS", Value: r.status},
		{Key: "CI_JOB_TIMEOUT", Value: strconv.Itoa(int(r.opts.Timeout.Seconds()))},
	}
	all = append(all, r.sent()...)
	all = append(all,
		variable{Key: "CI_SHARED_ENVIRONMENT", Value: "true"},
		variable{Key: "CI_RUNNER_VERSION", Value: r.opts.RunnerVersion},
		variable{Key: "CI_RUNNER_REVISION", Value: "replay"},
		variable{Key: "CI_RUNNER_EXECUTABLE_ARCH", Value: runtime.GOOS + "/" + runtime.GOARCH},
		variable{Key: "RUNNER_TEMP_PROJECT_DIR", Value: r.projectDir() + ".tmp"},
	)
	values := map[string]string{"$": "$"}
	for _, v := range all {
		values[v.Key] = v.Value
	}
	for i, v := range all {
		if !v.Raw {
			all[i].Value = os.Expand(v.Value, func(name string) string { return values[name] })
		}
	}
	return all
}

func (r *run) projectDir() string {
	if r.buildsDir == "" {
		return "" // in the config stage the driver has not said yet
	}
	return r.buildsDir + "/" + projectPath
}

// writeResponse writes the file that JOB_RESPONSE_FILE names
// (gitlab-runner common/spec, type Job).
func (r *run) writeResponse(path string) error {
	job := r.opts.Job
	steps := []map[string]any{{"name": "script", "script": append(slices.Clone(job.BeforeScript), job.Script...), "timeout": int(r.opts.Timeout.Seconds())}}
	if len(job.AfterScript) > 0 {
		steps = append(steps, map[string]any{"name": "after_script", "script": job.AfterScript, "when": "always", "allow_failure": true})
	}
	wire := func(i Image) map[string]any {
		var variables []variable
		for _, key := range slices.Sorted(maps.Keys(i.Variables)) {
			variables = append(variables, variable{Key: key, Value: i.Variables[key], Public: true})
		}
		return map[string]any{
			"name": i.Name, "alias": i.Alias, "entrypoint": i.Entrypoint, "command": i.Command,
			"pull_policy": i.PullPolicies, "variables": variables, "executor_opts": map[string]any{"docker": i.Docker},
		}
	}
	services := []any{}
	for _, service := range job.Services {
		services = append(services, wire(service))
	}
	data, err := json.Marshal(map[string]any{
		"id": r.opts.JobID, "token": jobToken, "allow_git_fetch": true,
		"job_info": map[string]any{
			"name": job.Name, "stage": "test", "pipeline_id": 1,
			"project_id": r.opts.ProjectID, "project_name": "project", "project_full_path": projectPath,
		},
		"git_info":    map[string]any{"ref": "main", "sha": r.sha, "ref_type": "branch", "protected": false},
		"runner_info": map[string]any{"timeout": int(r.opts.Timeout.Seconds())},
		"variables":   r.sent(), "steps": steps, "image": wire(job.Image), "services": services,
		"features": map[string]any{"trace_sections": true},
	})
	if err != nil {
		return fmt.Errorf("encoding the job response: %w", err)
	}
	return os.WriteFile(path, data, 0o600)
}
