package plan

import (
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
)

// Folders and files that the containers of a job share for its Docker clients.
// The folder is off /run and /etc, which a rootless daemon replaces by copies.
const (
	clientDir  = "/gitlab-docker"
	socketPath = clientDir + "/docker.sock"
	configDir  = clientDir + "/config"
)

// Client is what the Docker clients of a job get: a Docker config of their own
// with credentials, in a volume in memory that Helper, Build and the daemon
// have at the same path.
type Client struct {
	// ConfigDir is the value of DOCKER_CONFIG.
	ConfigDir string
	// Registries are the hosts whose credentials the config gets.
	Registries []string
}

// ConfigFile is the job's Docker config.
func (c Client) ConfigFile() string { return c.ConfigDir + "/config.json" }

// RecordFile tells what in the Docker config is the driver's.
func (c Client) RecordFile() string { return clientDir + "/record.json" }

// addClient gives the job's containers a Docker config, when there is a daemon
// or a registry to use it with.
func (p *Plan) addClient(job gitlab.Job, registries []string) {
	daemon := p.Docker()
	if daemon == nil && (len(registries) == 0 || job.Variables.Has("DOCKER_CONFIG")) {
		return
	}
	p.Client = &Client{ConfigDir: configDir, Registries: registries}
	shared := Mount{Volume: p.Network.Name + "-docker", Target: clientDir, Labels: p.Network.Labels, Memory: true}
	p.Helper.Mounts = append(p.Helper.Mounts[:len(p.Helper.Mounts):len(p.Helper.Mounts)], shared)
	p.Build.Mounts = append(p.Build.Mounts[:len(p.Build.Mounts):len(p.Build.Mounts)], shared)
	// Not every reader of the file asks DOCKER_CONFIG: skopeo and buildah do not.
	env := []string{"DOCKER_CONFIG=" + configDir, "REGISTRY_AUTH_FILE=" + configDir + "/config.json"}
	for _, entry := range env {
		p.Build.Env = append(p.Build.Env, entry)
		if daemon != nil {
			daemon.Env = append(daemon.Env, entry)
		}
	}
	if daemon != nil {
		daemon.Mounts = append(daemon.Mounts, shared)
	}
}
