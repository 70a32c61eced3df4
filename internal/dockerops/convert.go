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
func containerConfig(c plan.Container, image plan.LocalImage) (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	config := &container.Config{
		Image:        image.Ref,
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
		Runtime:   c.Runtime,
		// A script must not come back after a restart of the engine.
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
	}
	if c.Silent {
		host.LogConfig.Type = "none"
	}
	for _, m := range c.Mounts {
		options := &mount.VolumeOptions{NoCopy: !m.Copy, Labels: m.Labels}
		if m.Memory {
			options.DriverConfig = &mount.Driver{Name: "local", Options: memoryVolume}
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Source: m.Volume, Target: m.Target, VolumeOptions: options})
	}
	applySecurity(host, c.Security)
	if c.Network == "" {
		host.NetworkMode = container.NetworkMode("container:" + c.NetworkOf)
		return config, host, nil
	}
	host.NetworkMode = container.NetworkMode(c.Network)
	host.DNS, host.DNSSearch, host.ExtraHosts = c.Resolver.Servers, c.Resolver.Search, c.Resolver.Hosts
	return config, host, &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{c.Network: {Aliases: c.Aliases}},
	}
}

// memoryVolume are the options of the local volume driver for a tmpfs. Whoever
// runs in the containers of the job may write to it.
var memoryVolume = map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "mode=0777,size=256m,nosuid,nodev"}

func applySecurity(host *container.HostConfig, s plan.Security) {
	host.Privileged = s.Privileged
	host.CapAdd = s.CapAdd
	for _, path := range s.Devices {
		host.Devices = append(host.Devices, container.DeviceMapping{PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm"})
	}
	if s.OpenPaths {
		host.MaskedPaths, host.ReadonlyPaths = []string{}, []string{}
	}
	if s.Seccomp != "" {
		host.SecurityOpt = []string{"apparmor=unconfined"} // and the profile, when the engine's cgroup version is known
		host.CgroupnsMode = container.CgroupnsModePrivate
	}
}
