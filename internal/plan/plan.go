// Package plan turns a job and the operator's settings into a description of
// everything that the job needs from the engine. It is pure: the same inputs
// give the same plan in every stage, so the stages share no state but this.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Directories in the containers of a job. They are siblings: the scripts reach
// the cache by a relative path from the sources.
const (
	BuildsDir = "/builds"
	CacheDir  = "/cache"
)

// Labels that every Docker object of a job carries.
const (
	labelPrefix = "gitlab-ecr-executor."
	// LabelJob holds the key of the job: what cleanup removes.
	LabelJob = labelPrefix + "job"
	// LabelTimeout holds the job's timeout in seconds: what is much older was
	// left by a crash.
	LabelTimeout = labelPrefix + "timeout"
	// LabelOwner names the process that runs the job; see package owner.
	LabelOwner = labelPrefix + "owner"
	// LabelDindCache marks the volumes with what a project's DinD sidecars keep.
	LabelDindCache = labelPrefix + "dind-cache"
)

// Plan is all that a job needs from the engine.
type Plan struct {
	// Key identifies the job; the value of LabelJob.
	Key     string
	Network Network
	// Helper runs the stages around the script: one container for all, which
	// owns the job's network namespace.
	Helper Container
	// Build runs the scripts of the job's author in the job's image. It joins
	// the network namespace of Helper.
	Build Container
	// Services run beside the scripts. At most one is the job's Docker daemon.
	Services []Service
	// WaitForServices bounds how long a service may take until it is ready; 0
	// does not wait.
	WaitForServices time.Duration
	// Client is what the job's Docker clients get; nil when the job has
	// neither a daemon nor a registry to talk to.
	Client *Client
}

// Network is a bridge network of one job.
type Network struct {
	Name   string
	MTU    int // 0: the engine's default
	Labels map[string]string
}

// Image is a container image to have before a container can be created.
type Image struct {
	// Role says in the job log what the image is for: "job", "helper", "service".
	Role string
	// Name is the full reference, with tag or digest.
	Name string
	// Upstream is what the job named, when ECR has it from there (pull-through
	// cache).
	Upstream string
	// Verify lets the registry confirm that the job may read the image when it is
	// on the engine for another job.
	Verify bool
	// Platform is "os/arch[/variant]"; "" is the engine's own.
	Platform string
	// Policies are tried in order.
	Policies settings.PullPolicies
}

// LocalImage is an image that the engine has.
type LocalImage struct {
	// Ref is what to create containers from.
	Ref string
	// Entrypoint and Command are the image's own.
	Entrypoint, Command []string
	// User is the image's own; "" is root.
	User string
	// Healthcheck says that the image tells by itself when it is ready.
	Healthcheck bool
	// Ports are the TCP ports that the image exposes, in order.
	Ports []int
}

// Familiar is the image's name as people write it: without docker.io/library/.
func (i Image) Familiar() string {
	named, err := reference.ParseNormalizedNamed(i.Name)
	if err != nil {
		return i.Name
	}
	return reference.FamiliarString(named)
}

// Container is a container to create.
type Container struct {
	Name       string
	Image      Image
	Hostname   string
	Entrypoint []string // nil: the image's own
	Command    []string
	Env        []string // "NAME=value", nothing secret
	User       string   // "": the image's own
	OpenStdin  bool
	// Network is the name of the network to join with Aliases; when it is
	// empty the container shares the network namespace of container NetworkOf.
	Network   string
	Aliases   []string
	NetworkOf string
	// Resolver does not apply to a container that shares a namespace.
	Resolver Resolver
	Mounts   []Mount
	NanoCPUs int64
	Memory   int64 // bytes
	ShmSize  int64 // bytes
	Runtime  string
	// Silent keeps nothing on the engine's disk of what the container prints:
	// the output of scripts is not masked there.
	Silent   bool
	Security Security
	Labels   map[string]string
}

// Resolver is how a container finds hosts.
type Resolver struct {
	Servers, Search []string
	Hosts           []string // "name:address"
}

// Mount is a named volume in a container; the engine creates it when missing.
type Mount struct {
	Volume string
	Target string
	Labels map[string]string
	// Memory keeps the volume in memory: it is gone when no running container
	// has it mounted. Everybody in the container may write to it.
	Memory bool
	// Copy fills a new volume with what the image has at Target, owner and
	// mode included.
	Copy bool
}

// Key returns the key of a job: unique among all that one engine may see.
func Key(id gitlab.Identity) string { return hash(id.Server, strconv.FormatInt(id.ID, 10)) }

// hash returns 16 hexadecimal digits for a list of strings.
func hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// New plans a job. registries are the hosts to which the job's Docker clients
// get credentials. Its errors are build failures: they are about what the job
// asks for.
func New(job gitlab.Job, s settings.Settings, registries []string) (Plan, error) {
	buildImage, err := jobImage(job, s)
	if err != nil {
		return Plan{}, err
	}
	helperImage, err := HelperImage(job, s)
	if err != nil {
		return Plan{}, err
	}

	key := Key(job.Identity)
	name := fmt.Sprintf("gitlab-job-%d-%s", job.ID, key[:8])
	labels := jobLabels(job, key)
	containerLabels := withLabels(labels, s.ContainerLabels)
	mounts := mounts(job, name, labels)

	p := Plan{
		Key:     key,
		Network: Network{Name: name, MTU: s.NetworkMtu, Labels: labels},
		Helper: Container{
			Name:     name + "-helper",
			Image:    helperImage,
			Hostname: hostname(job),
			Command:  []string{"sh", "-c", waitScript},
			Env:      gitSafeDirectory("*"),
			Network:  name,
			Aliases:  []string{"build"},
			Resolver: resolver(s),
			Mounts:   mounts,
			NanoCPUs: int64(s.Cpus), // hooks and filters of the job's author run here too
			Memory:   int64(s.Memory),
			Silent:   true,
			Runtime:  s.Runtime,
			Labels:   containerLabels,
		},
		Build: Container{
			Name:      name + "-build",
			Image:     buildImage,
			Command:   []string{"sh", "-c", shellScript},
			Env:       append(job.Variables.ContainerEnv(), gitSafeDirectory(job.ProjectDir)...),
			User:      user(job, s),
			OpenStdin: true,
			Silent:    true,
			NetworkOf: name + "-helper",
			Mounts:    mounts,
			NanoCPUs:  int64(s.Cpus),
			Memory:    int64(s.Memory),
			ShmSize:   int64(s.ShmSize),
			Runtime:   s.Runtime,
			Labels:    containerLabels,
		},
	}
	if !s.DisableEntrypointOverwrite {
		p.Build.Entrypoint = job.Image.Entrypoint
	}
	if err := p.addServices(job, s); err != nil {
		return Plan{}, err
	}
	p.addClient(job, registries)
	return p, nil
}

func resolver(s settings.Settings) Resolver {
	return Resolver{Servers: s.Dns, Search: s.DnsSearch, Hosts: s.ExtraHosts}
}

func user(job gitlab.Job, s settings.Settings) string {
	if s.User != "" {
		return s.User
	}
	name, _ := job.Variables.Expand(string(job.Image.Options.Docker.User))
	return name
}

// hostname follows the docker executor; it must be one label of RFC 1123.
func hostname(job gitlab.Job) string {
	name := fmt.Sprintf("runner-%s-project-%d-concurrent-%d", job.Runner, job.ProjectID, job.Slot)
	clean := make([]byte, 0, len(name))
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
			clean = append(clean, c)
		case c >= 'A' && c <= 'Z':
			clean = append(clean, c-'A'+'a')
		}
	}
	const maxLabel = 63
	return string(clean[:min(len(clean), maxLabel)])
}

// gitSafeDirectory lets git work on a checkout that belongs to another user of
// the container: the sources are the helper's, the script may run as anyone.
// git reads this since 2.38; older ones as before.
func gitSafeDirectory(dir string) []string {
	return []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=" + dir}
}
