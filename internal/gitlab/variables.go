package gitlab

import (
	"iter"
	"os"
	"slices"
)

// Variable is a variable of the job as GitLab sent it, before expansion.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
}

// Variables are the variables of a job. They belong to the job's author, save
// those named by reserved.
type Variables struct {
	// expanded holds every value as GitLab Runner expanded it.
	expanded map[string]string
	// sent is the list of the job response, in GitLab's order: predefined
	// variables come first, an author's override of one comes later.
	sent []Variable
	// tempDir is the folder of file variables.
	tempDir string
}

// Get returns the expanded value of a variable, "" when it is not set. A file
// variable gives the path of its file, as it does in a script.
func (v Variables) Get(key string) string {
	if v.isFile(key) {
		return v.tempDir + "/" + key
	}
	return v.expanded[key]
}

// Has reports whether the job has a variable, be it empty.
func (v Variables) Has(key string) bool {
	_, ok := v.expanded[key]
	return ok
}

// Content returns the value of a variable, and of a file variable what is in
// the file.
func (v Variables) Content(key string) string { return v.expanded[key] }

// Values iterates over all values, in no order, but for those with which the
// runner repeats the job's image and services.
func (v Variables) Values() iter.Seq[string] {
	return func(yield func(string) bool) {
		for key, value := range v.expanded {
			if key != "CI_JOB_IMAGE" && key != "CI_JOB_SERVICES" && !yield(value) {
				return
			}
		}
	}
}

// Shareable returns the value of a variable that may stand in a container's
// configuration: one of ContainerEnv, or one that the operator gave to the
// runner (environment in config.toml).
func (v Variables) Shareable(key string) (string, bool) {
	value, ok := v.expanded[key]
	if !ok || value == "" {
		return "", false
	}
	return value, !v.authored(key) || slices.Contains(v.ContainerEnv(), key+"="+value)
}

// OwnEnv returns the "NAME=value" entries for the variables that a service has
// of its own.
func (v Variables) OwnEnv(own []Variable) []string {
	env := make([]string, 0, len(own))
	for _, variable := range own {
		value := variable.Value
		if !variable.Raw {
			value, _ = v.Expand(value)
		}
		env = append(env, variable.Key+"="+value)
	}
	return env
}

// original returns the value that GitLab gave a predefined variable, whatever
// the job's author set under the same name.
func (v Variables) original(key string) string {
	for _, variable := range v.sent {
		if variable.Key == key {
			return variable.Value
		}
	}
	return v.expanded[key]
}

// authored reports whether a variable that only GitLab Runner itself sets came
// with the job: then the value in the environment is the author's.
func (v Variables) authored(key string) bool {
	for _, variable := range v.sent {
		if variable.Key == key {
			return true
		}
	}
	return false
}

func (v Variables) isFile(key string) bool {
	file := false
	for _, variable := range v.sent {
		if variable.Key == key {
			file = variable.File
		}
	}
	return file
}

// ContainerEnv returns the "NAME=value" entries that a container of the job may
// carry in its configuration, where everybody with access to the engine can
// read them: public variables that neither are nor refer to a secret. The
// job's scripts export every variable themselves.
func (v Variables) ContainerEnv() []string {
	public := map[string]string{}
	var order []string
	for _, variable := range v.sent {
		if _, ok := public[variable.Key]; !ok {
			order = append(order, variable.Key)
		}
		// The last of a name counts, with its own flags.
		if variable.Public && !variable.Masked && !variable.File {
			public[variable.Key] = variable.Value
		} else {
			public[variable.Key] = ""
		}
	}
	for _, key := range runnerVariables {
		if value, ok := v.expanded[key]; ok && !v.authored(key) {
			public[key] = value
			order = append(order, key)
		}
	}
	lookup := func(name string) string { return public[name] }
	var env []string
	for _, key := range order {
		value, ok := v.expanded[key]
		if !ok || value == "" {
			continue
		}
		// What expands to something else with public values alone refers to
		// a secret.
		if public[key] == value || os.Expand(public[key], lookup) == value {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// runnerVariables are public and set by GitLab Runner, not by GitLab.
var runnerVariables = []string{
	"CI_BUILDS_DIR", "CI_PROJECT_DIR", "CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID", "CI_SERVER",
	"CI_JOB_TIMEOUT", "CI_RUNNER_SHORT_TOKEN", "CI_RUNNER_VERSION", "CI_RUNNER_REVISION",
	"CI_RUNNER_EXECUTABLE_ARCH",
}
