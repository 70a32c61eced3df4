package dockerops

import (
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// networkOptions describes a job's network to the engine.
func networkOptions(n plan.Network) network.CreateOptions {
	opts := network.CreateOptions{Driver: "bridge", Labels: n.Labels}
	if n.MTU > 0 {
		opts.Options = map[string]string{"com.docker.network.driver.mtu": strconv.Itoa(n.MTU)}
	}
	return opts
}

// containerConfig describes a container to the engine.
func containerConfig(c plan.Container, image string) (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	config := &container.Config{
		Image:        image,
		Hostname:     c.Hostname,
		Entrypoint:   c.Entrypoint,
		Cmd:          c.Command,
		Env:          c.Env,
		User:         c.User,
		Labels:       c.Labels,
		OpenStdin:    c.OpenStdin,
		StdinOnce:    c.OpenStdin, // the script's end is the end of stdin
		AttachStdin:  c.OpenStdin,
		AttachStdout: c.OpenStdin,
		AttachStderr: c.OpenStdin,
	}
	host := &container.HostConfig{
		Resources: container.Resources{NanoCPUs: c.NanoCPUs, Memory: c.Memory},
		ShmSize:   c.ShmSize,
		// A script must not come back after a restart of the engine.
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
	}
	for _, m := range c.Mounts {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: m.Volume, Target: m.Target,
			VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: m.Labels},
		})
	}
	if c.Network == "" {
		host.NetworkMode = container.NetworkMode("container:" + c.NetworkOf)
		return config, host, nil
	}
	host.NetworkMode = container.NetworkMode(c.Network)
	return config, host, &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{c.Network: {Aliases: c.Aliases}},
	}
}
