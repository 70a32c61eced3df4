package gitlabtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Job is what a test asks for.
type Job struct {
	Name        string            `json:"name"`
	Image       string            `json:"image"`
	Services    []Service         `json:"services"`
	Variables   map[string]string `json:"variables"`
	Script      []string          `json:"script"`
	AfterScript []string          `json:"after_script"`
	Timeout     time.Duration     `json:"timeout"` // an hour when 0
}

// Service is a service of a job.
type Service struct {
	Name  string `json:"name"`
	Alias string `json:"alias"`
}

// State is how far a job is.
type State struct {
	Status        string `json:"status"` // pending, running, canceling, success, failed, canceled
	FailureReason string `json:"failure_reason"`
	ExitCode      int    `json:"exit_code"`
	Trace         string `json:"trace"`
}

// Ended says that a runner has reported the job's result.
func (s State) Ended() bool {
	return s.Status == "success" || s.Status == "failed" || s.Status == "canceled"
}

type job struct {
	Job
	State
	id         int64
	cancelable bool // the runner knows the status canceling
	artifacts  []byte
	filename   string
}

func (j *job) token() string { return fmt.Sprintf("glcbt-64_job-token-%d", j.id) }

const projectPath = "group/app"

// payload is the answer to a request for a job (gitlab-runner common/spec, type
// Job), for runners of every age. The project's id is the job's: nothing is
// left of other jobs' volumes.
func (j *job) payload(server string) map[string]any {
	timeout := j.Timeout
	if timeout == 0 {
		timeout = time.Hour
	}
	steps := []any{map[string]any{"name": "script", "script": j.Script, "timeout": int(timeout.Seconds()), "when": "on_success", "allow_failure": false}}
	if len(j.AfterScript) > 0 {
		steps = append(steps, map[string]any{"name": "after_script", "script": j.AfterScript, "timeout": 300, "when": "always", "allow_failure": true})
	}
	services := []any{}
	for _, service := range j.Services {
		services = append(services, map[string]any{"name": service.Name, "alias": service.Alias})
	}
	const sha, none = "1111111111111111111111111111111111111111", "0000000000000000000000000000000000000000"
	return map[string]any{
		"id": j.id, "token": j.token(), "allow_git_fetch": true,
		"job_info": map[string]any{
			"id": j.id, "name": j.Name, "stage": "test", "pipeline_id": 1,
			"project_id": j.id, "project_name": "app", "project_full_path": projectPath,
		},
		"git_info": map[string]any{
			"repo_url": server + "/" + projectPath + ".git", "ref": "main", "sha": sha, "before_sha": none,
			"ref_type": "branch", "refspecs": []string{"+refs/heads/main:refs/remotes/origin/main"}, "depth": 20, "protected": false,
		},
		"runner_info": map[string]any{"timeout": int(timeout.Seconds())},
		"variables":   j.variables(server), "steps": steps, "image": map[string]any{"name": j.Image}, "services": services,
		"artifacts": []any{}, "cache": []any{}, "credentials": []any{}, "dependencies": []any{},
		"features": map[string]any{"trace_sections": true, "failure_reasons": []string{"unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout"}},
	}
}

// variables are GitLab's own, of which the driver needs some, and the job's.
// There are no sources: GIT_STRATEGY is none.
func (j *job) variables(server string) []any {
	id := strconv.FormatInt(j.id, 10)
	public := func(key, value string) any {
		return map[string]any{"key": key, "value": value, "public": true, "masked": false, "file": false, "raw": false}
	}
	all := []any{
		public("CI", "true"), public("GITLAB_CI", "true"), public("CI_SERVER_URL", server), public("CI_PIPELINE_ID", "1"),
		public("CI_JOB_ID", id), public("CI_JOB_NAME", j.Name),
		map[string]any{"key": "CI_JOB_TOKEN", "value": j.token(), "public": false, "masked": true, "file": false, "raw": false},
		public("CI_PROJECT_ID", id), public("CI_PROJECT_NAME", "app"), public("CI_PROJECT_PATH", projectPath),
		public("CI_COMMIT_REF_NAME", "main"), public("CI_COMMIT_REF_PROTECTED", "false"), public("GIT_STRATEGY", "none"),
	}
	for _, key := range slices.Sorted(maps.Keys(j.Variables)) {
		all = append(all, public(key, j.Variables[key]))
	}
	return all
}
