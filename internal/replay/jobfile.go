// Package replay plays GitLab Runner's part for one job: it runs the four stage
// binaries as processes, in the order and with the environment, files and
// signals of the real one. It shares no code with the driver, and restates the
// names of the contract, so that a mistake in them cannot be made on both sides.
package replay

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Job is a job of a job file, in the format of .gitlab-ci.yml.
type Job struct {
	Name         string
	Image        Image
	Services     []Image
	Variables    map[string]string
	BeforeScript []string
	Script       []string
	AfterScript  []string
}

// Image is `image` or an entry of `services`.
type Image struct {
	Name         string            `yaml:"name" json:"name"`
	Alias        string            `yaml:"alias" json:"alias,omitempty"`
	Entrypoint   words             `yaml:"entrypoint" json:"entrypoint,omitempty"`
	Command      words             `yaml:"command" json:"command,omitempty"`
	PullPolicies words             `yaml:"pull_policy" json:"pull_policy,omitempty"`
	Variables    map[string]string `yaml:"variables" json:"-"`
	Docker       struct {
		Platform string `yaml:"platform" json:"platform,omitempty"`
		User     string `yaml:"user" json:"user,omitempty"`
	} `yaml:"docker" json:"-"`
}

// words is a string or a list of strings, also nested.
type words []string

func (w *words) UnmarshalYAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		*w = append(*w, node.Value)
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if err := w.UnmarshalYAML(item); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("line %d: want a string or a list of strings", node.Line)
	}
	return nil
}

var jobKeywords = []string{"image", "services", "variables", "before_script", "script", "after_script"}

// ReadJob reads the job called name from file; of a file with one job the name
// may be "". A keyword that replay does not play is an error.
func ReadJob(file, name string) (Job, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Job{}, fmt.Errorf("reading the job file: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return Job{}, fmt.Errorf("reading the job file %s: %w", file, err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return Job{}, fmt.Errorf("reading the job file %s: it holds no job", file)
	}
	var job Job
	jobs := map[string]*yaml.Node{}
	for key, value := range pairs(document.Content[0]) {
		var err error
		switch {
		case key.Value == "default":
			err = job.read(value)
		case slices.Contains(jobKeywords, key.Value):
			err = job.set(key, value)
		case key.Value == "stages" || key.Value == "workflow":
			// about pipelines, of which replay plays one job
		case value.Kind == yaml.MappingNode:
			if !strings.HasPrefix(key.Value, ".") {
				jobs[key.Value] = value
			}
		default:
			err = fmt.Errorf("line %d: unknown keyword %q", key.Line, key.Value)
		}
		if err != nil {
			return Job{}, fmt.Errorf("reading the job file %s: %w", file, err)
		}
	}
	if name == "" && len(jobs) == 1 {
		for name = range jobs {
		}
	}
	node, ok := jobs[name]
	if !ok {
		names := make([]string, 0, len(jobs))
		for name := range jobs {
			names = append(names, name)
		}
		slices.Sort(names)
		return Job{}, fmt.Errorf("the job file %s has no job %q: choose with --job one of %q", file, name, names)
	}
	job.Name = name
	if err := job.read(node); err != nil {
		return Job{}, fmt.Errorf("reading the job file %s, job %s: %w", file, name, err)
	}
	if len(job.Script) == 0 {
		return Job{}, fmt.Errorf("reading the job file %s, job %s: it has no script", file, name)
	}
	return job, nil
}

// pairs iterates over the keys and values of a mapping.
func pairs(mapping *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}

func (j *Job) read(node *yaml.Node) error {
	for key, value := range pairs(node) {
		if err := j.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (j *Job) set(key, value *yaml.Node) error {
	script := func(lines *[]string) error {
		var w words
		err := w.UnmarshalYAML(value)
		*lines = w
		return err
	}
	switch key.Value {
	case "image":
		return value.Decode(&j.Image)
	case "services":
		return value.Decode(&j.Services)
	case "variables":
		if j.Variables == nil {
			j.Variables = map[string]string{}
		}
		return value.Decode(&j.Variables)
	case "before_script":
		return script(&j.BeforeScript)
	case "script":
		return script(&j.Script)
	case "after_script":
		return script(&j.AfterScript)
	default:
		return fmt.Errorf("line %d: replay does not know the keyword %q; it knows %s", key.Line, key.Value, strings.Join(jobKeywords, ", "))
	}
}

// UnmarshalYAML reads a name alone, or a mapping.
func (i *Image) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*i = Image{Name: node.Value}
		return nil
	}
	known := []string{"name", "alias", "entrypoint", "command", "pull_policy", "variables", "docker"}
	for key := range pairs(node) {
		if !slices.Contains(known, key.Value) {
			return fmt.Errorf("line %d: replay does not know the keyword %q of an image; it knows %s", key.Line, key.Value, strings.Join(known, ", "))
		}
	}
	type plain Image // without this method
	var image plain
	if err := node.Decode(&image); err != nil {
		return err
	}
	*i = Image(image)
	return nil
}
