// Package settings holds what the operator of a runner decides. Settings come
// from the environment of the gitlab-runner process or from the file given by
// --env-file, never from a job: the variables of a job arrive under another
// prefix.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/joho/godotenv"
	"github.com/kelseyhightower/envconfig"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// Prefix comes before the name of every setting, with an underscore.
const Prefix = "ECR_EXECUTOR"

// Settings are the operator's decisions. Where the docker executor has the same
// setting under [runners.docker], name, default and meaning are the same.
//
// The fields take no `envconfig` tag: it would make envconfig read the name
// without prefix as well (USER, say).
type Settings struct {
	Image       string `split_words:"true" desc:"Image of jobs that name none."`
	HelperImage string `split_words:"true" desc:"Image for the stages around the script (sources, cache, artifacts): needs sh, git and gitlab-runner-helper. Default: GitLab's helper image of the runner's own version and architecture. May use variables of the job."`

	PullPolicy          PullPolicies `split_words:"true" desc:"When to pull images of jobs that do not say: always, if-not-present, never; tried in order. Default: always."`
	AllowedPullPolicies PullPolicies `split_words:"true" desc:"Pull policies that a job may ask for. Default: those of PULL_POLICY."`
	AllowedImages       List         `split_words:"true" desc:"Globs of images that a job may use. Default: every image."`

	AllowedServices           List `split_words:"true" desc:"Globs of service images that a job may use. Default: every image."`
	AllowedPrivilegedServices List `split_words:"true" desc:"Globs of service images that may run privileged; see DIND_SECURITY. Default: none."`

	DisableEntrypointOverwrite bool `split_words:"true" desc:"Ignore image:entrypoint of jobs."`

	User            string `split_words:"true" desc:"User of the job container, over the job's and the image's own."`
	Cpus            CPUs   `split_words:"true" desc:"Number of CPUs for the job container, and for the helper, such as 1.5."`
	Memory          Bytes  `split_words:"true" desc:"Memory limit of the job container, and of the helper, such as 2g."`
	ShmSize         Bytes  `split_words:"true" desc:"Size of /dev/shm in the job container, such as 256m."`
	NetworkMtu      int    `split_words:"true" desc:"MTU of the job's network. Set it when the host's own is below 1500, as in many VPNs: Docker does not pass it on."`
	Dns             List   `split_words:"true" desc:"DNS servers of the job's containers, those of a DinD sidecar included. Default: the engine's."`
	DnsSearch       List   `split_words:"true" desc:"DNS search domains of the job's containers."`
	ExtraHosts      List   `split_words:"true" desc:"More hosts for the job's containers, as name:address."`
	Runtime         string `split_words:"true" desc:"OCI runtime of the job's containers, such as sysbox-runc. Default: the engine's."`
	ContainerLabels Pairs  `split_words:"true" desc:"More labels for every container."`

	WaitForServicesTimeout int   `split_words:"true" default:"30" desc:"Seconds to wait for services to be ready; -1 does not wait. A DinD sidecar is always awaited, for 30 seconds at least."`
	ServiceCpus            CPUs  `split_words:"true" desc:"Number of CPUs for each service, a DinD sidecar included."`
	ServiceMemory          Bytes `split_words:"true" desc:"Memory limit of each service, a DinD sidecar included."`

	DindImages             List         `split_words:"true" default:"docker:*dind*,**/docker:*dind*" desc:"Globs of service images that are a Docker-in-Docker (DinD) sidecar. Set to nothing, no job has one."`
	DindImage              string       `split_words:"true" default:"docker:dind" desc:"Sidecar of jobs that set the variable ECR_DIND to true and name none."`
	DindSecurity           DindSecurity `split_words:"true" default:"confined" desc:"How a sidecar is kept: confined (two capabilities and a seccomp profile instead of privileged), rootless (image docker:dind-rootless or alike, no capability: for jobs that are not trusted, with DIND_IMAGES that names your own image), privileged (images in ALLOWED_PRIVILEGED_SERVICES only; others are confined). See docs/security.md."`
	DindCache              DindCache    `split_words:"true" desc:"project: keep the sidecar's images and build cache for the next job of the same project, slot and protection. Default: off, a job begins with none."`
	DindCacheSize          Bytes        `split_words:"true" default:"20g" desc:"Size of all such caches of this engine together; what was not used for the longest time is removed first."`
	DindRegistryMirrors    List         `split_words:"true" desc:"Mirrors of Docker Hub for the sidecar's daemon, as URLs."`
	DindInsecureRegistries List         `split_words:"true" desc:"Registries that the sidecar's daemon may talk to without TLS, as host[:port]."`

	Registries List `split_words:"true" desc:"Registries whose credentials every job's Docker config gets, beside those that the job names in its image, services and variables."`

	PullThrough       Pairs `split_words:"true" desc:"Upstream registries that ECR has a pull-through cache for, as registry=prefix pairs such as docker.io=111122223333.dkr.ecr.eu-west-1.amazonaws.com/docker-hub: job, service and helper images are pulled from there."`
	VerifyLocalImages bool  `split_words:"true" default:"true" desc:"With pull policy if-not-present, let the registry confirm that this very job may read an image that is on the engine because another job brought the credentials for it."`

	EcrHosts            Pairs        `split_words:"true" desc:"Registries beside Amazon's that speak the ECR API, as host[:port]=region pairs: local emulators. Set AWS_ENDPOINT_URL_ECR too: a token of Amazon's own API is never sent to them."`
	Roles               Roles        `split_words:"true" desc:"AWS roles to assume for repositories, as registry/repository glob=role ARN pairs (** matches nested repositories), or a JSON array of objects with repositories, role, and, if wanted, projects (glob of project paths), external_id, policy (pull, or an IAM policy that narrows the role). The first that matches is taken. Default: the runner's own identity."`
	WebIdentityVariable VariableName `split_words:"true" desc:"Name of the job variable (id_tokens) to assume ROLES with: the job's own identity instead of the runner's. Default: the runner assumes them."`
	StateDir            string       `split_words:"true" desc:"Folder for ECR tokens (mode 0700), shared by all jobs of this user. Default: /var/lib/gitlab-ecr-executor for root, else gitlab-ecr-executor in the user's cache folder."`

	LogLevel  LogLevel  `split_words:"true" default:"info" desc:"How much the driver writes into the job log: debug, info, warning, error."`
	LogFormat LogFormat `split_words:"true" default:"text" desc:"text, or json with a line per event."`
}

const remedy = "see docs/configuration.md for the names and values of all settings"

const longestValue = 40

// Load reads the settings from the environment of this process. A setting that
// is unknown or malformed is an error that names it.
func Load() (Settings, error) {
	var s Settings
	if err := checkUnknown(); err != nil {
		return Settings{}, failure.System(fmt.Errorf("reading the settings: %w", err), remedy)
	}
	if err := envconfig.Process(Prefix, &s); err != nil {
		var parse *envconfig.ParseError
		if errors.As(err, &parse) {
			err = fmt.Errorf("%s=%q: %w", parse.KeyName, parse.Value, parse.Err)
			if len(parse.Value) > longestValue { // nobody needs all of it in every job's log
				err = fmt.Errorf("%s: %w", parse.KeyName, parse.Err)
			}
		}
		return Settings{}, failure.System(fmt.Errorf("reading the settings: %w", err), remedy)
	}
	if s.StateDir == "" {
		s.StateDir = defaultStateDir()
	}
	return s, nil
}

// LoadFile puts the NAME=value lines of file into the environment of this
// process, over what stands there: AWS_PROFILE and DOCKER_HOST work as well as
// settings, so that two [[runners]] of one process can differ.
func LoadFile(file string) error {
	if err := godotenv.Overload(file); err != nil {
		hint := "one NAME=value a line, # for comments"
		if errors.Is(err, fs.ErrNotExist) {
			hint = "check config_args, prepare_args, run_args and cleanup_args in config.toml"
		}
		return failure.System(fmt.Errorf("reading --env-file %s: %w", file, err), hint)
	}
	return nil
}

func defaultStateDir() string {
	const name = "gitlab-ecr-executor"
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "" // no home folder: works without a cache
	}
	return filepath.Join(cache, name)
}
