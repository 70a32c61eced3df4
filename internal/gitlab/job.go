package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// Job is one CI job as GitLab Runner hands it to the driver.
type Job struct {
	Identity

	// Owner names the process that runs the job; see package owner.
	Owner string

	PipelineID  int64
	ProjectPath string
	Name        string
	// Timeout bounds the job's scripts; an hour when the runner does not say.
	Timeout time.Duration
	// Protected says that the job runs for a protected branch or tag.
	Protected bool
	// KeepSources says that the next job of the project fetches into the
	// checkout of this one (GIT_STRATEGY: fetch).
	KeepSources bool

	// Runner is the short token of the runner; RunnerVersion and RunnerArch
	// ("linux/amd64") are of the gitlab-runner process.
	Runner        string
	RunnerVersion string
	RunnerArch    string
	// Slot is unique among the jobs of this project that run at once.
	Slot int

	ProjectDir string
	Image      Image
	Services   []Image
	Variables  Variables
	// Logins are GitLab's own registries, by host, with the job's token.
	Logins []Login
}

// Login opens a registry to a job.
type Login struct{ Registry, Username, Password string }

// Identity tells a job from every other that the engine may see.
type Identity struct {
	// Server is the URL of the GitLab server: job ids are unique within one.
	Server    string
	ID        int64
	ProjectID int64
}

// Image is a container image that the job asks for, as its author wrote it.
type Image struct {
	Name         string   `json:"name"`
	Alias        string   `json:"alias"`
	Entrypoint   []string `json:"entrypoint"`
	Command      []string `json:"command"`
	PullPolicies []string `json:"pull_policy"`
	// Variables are for the container of a service alone, unexpanded.
	Variables []Variable `json:"variables"`
	Options   struct {
		Docker struct {
			Platform string         `json:"platform"`
			User     stringOrNumber `json:"user"`
		} `json:"docker"`
	} `json:"executor_opts"`
}

// Aliases returns the names that the job gives a service: `alias` may hold
// several, separated by spaces or commas.
func (i Image) Aliases() []string {
	return strings.FieldsFunc(i.Alias, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// stringOrNumber reads `user: 1000` as well as `user: "1000"`.
type stringOrNumber string

func (s *stringOrNumber) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*s = stringOrNumber(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return fmt.Errorf("user is neither a string nor a number: %s", data)
	}
	*s = stringOrNumber(number)
	return nil
}

// response is the part of the job response that the driver needs
// (gitlab-runner common/spec, type Job).
type response struct {
	ID            int64 `json:"id"`
	AllowGitFetch bool  `json:"allow_git_fetch"`
	JobInfo       struct {
		Name            string `json:"name"`
		PipelineID      int64  `json:"pipeline_id"`
		ProjectID       int64  `json:"project_id"`
		ProjectFullPath string `json:"project_full_path"`
	} `json:"job_info"`
	GitInfo struct {
		Protected *bool `json:"protected"`
	} `json:"git_info"`
	RunnerInfo struct {
		Timeout int `json:"timeout"`
	} `json:"runner_info"`
	Variables []Variable `json:"variables"`
	Image     Image      `json:"image"`
	Services  []Image    `json:"services"`
	// Credentials are for GitLab's registry and its dependency proxy.
	Credentials []struct {
		Type     string `json:"type"`
		URL      string `json:"url"`
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"credentials"`
}

// runnerOwned are set by GitLab Runner and decide what a job may reach; a job
// that sets one itself would choose another job's volumes.
var runnerOwned = []string{"CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID", "CI_RUNNER_SHORT_TOKEN"}

const defaultTimeout = time.Hour

// Job reads the job from the file that JOB_RESPONSE_FILE names, which is to be
// trusted, and from the CUSTOM_ENV_ variables. Without the file (runners before
// 14) the variables alone must do.
func (e Environ) Job() (Job, error) {
	resp, err := e.response()
	if err != nil {
		return Job{}, err
	}
	vars := e.variables(resp)
	for _, name := range runnerOwned {
		if vars.authored(name) {
			return Job{}, failure.Build(
				fmt.Errorf("the job sets the variable %s, which belongs to GitLab Runner", name),
				"remove "+name+" from the variables of the job, the pipeline and the project",
			)
		}
	}
	job := Job{
		Identity:      identity(resp, vars),
		PipelineID:    resp.JobInfo.PipelineID,
		ProjectPath:   firstNonEmpty(resp.JobInfo.ProjectFullPath, vars.original("CI_PROJECT_PATH")),
		Name:          firstNonEmpty(resp.JobInfo.Name, vars.original("CI_JOB_NAME")),
		Timeout:       time.Duration(resp.RunnerInfo.Timeout) * time.Second,
		KeepSources:   keepSources(vars.Get("GIT_STRATEGY"), resp.AllowGitFetch),
		Runner:        vars.expanded["CI_RUNNER_SHORT_TOKEN"],
		RunnerVersion: vars.expanded["CI_RUNNER_VERSION"],
		RunnerArch:    vars.expanded["CI_RUNNER_EXECUTABLE_ARCH"],
		ProjectDir:    vars.expanded["CI_PROJECT_DIR"],
		Image:         resp.Image,
		Services:      resp.Services,
		Variables:     vars,
	}
	for _, c := range resp.Credentials {
		if c.Type == "registry" {
			job.Logins = append(job.Logins, Login{c.URL, c.Username, c.Password})
		}
	}
	if job.PipelineID == 0 { // runners up to 15 leave it out
		job.PipelineID, _ = strconv.ParseInt(vars.original("CI_PIPELINE_ID"), 10, 64)
	}
	if resp.GitInfo.Protected != nil {
		job.Protected = *resp.GitInfo.Protected
	} else {
		job.Protected = vars.original("CI_COMMIT_REF_PROTECTED") == "true"
	}
	if job.Timeout <= 0 {
		job.Timeout = defaultTimeout
	}
	if job.Image.Name == "" {
		job.Image.Name = vars.expanded["CI_JOB_IMAGE"]
	}
	if e[envJobResponseFile] == "" {
		if job.Services, err = servicesOf(vars.expanded["CI_JOB_SERVICES"]); err != nil {
			return Job{}, err
		}
	}
	if slot := vars.expanded["CI_CONCURRENT_PROJECT_ID"]; slot != "" {
		if job.Slot, err = strconv.Atoi(slot); err != nil {
			return Job{}, fmt.Errorf("reading CI_CONCURRENT_PROJECT_ID: %w", err)
		}
	}
	if job.ID <= 0 {
		return Job{}, errNoJob
	}
	return job, nil
}

// servicesOf reads CI_JOB_SERVICES, all that runners without a job response
// tell of the services.
func servicesOf(list string) (services []Image, err error) {
	if list == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(list), &services); err != nil {
		return nil, fmt.Errorf("reading CI_JOB_SERVICES: %w", err)
	}
	return services, nil
}

var errNoJob = failure.System(
	fmt.Errorf("no job: neither %s nor %sCI_JOB_ID is set", envJobResponseFile, envJobPrefix),
	"this program is called by GitLab Runner (executor = \"custom\"); to try a job by hand use replay",
)

// Identity reads no more of the job than cleanup needs: it succeeds whenever
// the job can be told at all, also with a job response that is broken.
func (e Environ) Identity() (Identity, error) {
	resp, err := e.response()
	if err != nil {
		resp = response{}
	}
	id := identity(resp, e.variables(resp))
	if id.ID <= 0 {
		return Identity{}, errors.Join(errNoJob, err)
	}
	return id, nil
}

func identity(resp response, vars Variables) Identity {
	id := Identity{Server: vars.original("CI_SERVER_URL"), ID: resp.ID, ProjectID: resp.JobInfo.ProjectID}
	if id.ID == 0 {
		id.ID, _ = strconv.ParseInt(vars.expanded["CI_JOB_ID"], 10, 64)
	}
	if id.ProjectID == 0 {
		id.ProjectID, _ = strconv.ParseInt(vars.original("CI_PROJECT_ID"), 10, 64)
	}
	return id
}

func (e Environ) response() (response, error) {
	var resp response
	path := e[envJobResponseFile]
	if path == "" {
		return resp, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return resp, failure.System(fmt.Errorf("reading the job from %s: %w", envJobResponseFile, err),
			"check that nothing empties the runner's temporary folder while jobs run")
	}
	if err != nil {
		return resp, fmt.Errorf("reading the job from %s: %w", envJobResponseFile, err)
	}
	if err := json.Unmarshal(data, &resp); err != nil {
		return response{}, failure.System(fmt.Errorf("reading the job from %s (%s): %w", envJobResponseFile, path, err),
			"the file is written by GitLab Runner; check the runner's disk, and report its version with this line")
	}
	return resp, nil
}

func (e Environ) variables(resp response) Variables {
	vars := Variables{expanded: map[string]string{}, sent: resp.Variables}
	for name, value := range e {
		if key, ok := strings.CutPrefix(name, envJobPrefix); ok {
			vars.expanded[key] = value
		}
	}
	vars.tempDir = firstNonEmpty(vars.expanded["RUNNER_TEMP_PROJECT_DIR"], vars.expanded["CI_PROJECT_DIR"]+".tmp")
	return vars
}

// keepSources follows GitLab Runner: fetch is the strategy unless the job, or
// the project's settings, say otherwise.
func keepSources(strategy string, allowFetch bool) bool {
	switch strategy {
	case "fetch":
		return true
	case "clone", "none", "empty":
		return false
	default:
		return allowFetch
	}
}

func firstNonEmpty(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
