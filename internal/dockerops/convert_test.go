package dockerops

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

func TestContainerConfig(t *testing.T) {
	c := plan.Container{
		Hostname: "h", Entrypoint: []string{""}, Command: []string{"sh"}, Env: []string{"A=b"}, User: "app", OpenStdin: true,
		NetworkOf: "helper", NanoCPUs: 1, Memory: 2, ShmSize: 3, Labels: map[string]string{"l": "v"},
		Mounts: []plan.Mount{{Volume: "v", Target: "/builds", Labels: map[string]string{"m": "n"}}},
	}
	config, host, networking := containerConfig(c, plan.LocalImage{Ref: "sha256:1"})
	if config.Image != "sha256:1" || config.User != "app" || !config.OpenStdin || !config.StdinOnce || config.Tty ||
		!reflect.DeepEqual([]string(config.Entrypoint), c.Entrypoint) || config.Labels["l"] != "v" {
		t.Errorf("config = %+v", config)
	}
	if host.NetworkMode != "container:helper" || networking != nil || host.Privileged || host.NanoCPUs != 1 || host.Memory != 2 || host.ShmSize != 3 {
		t.Errorf("host config = %+v", host)
	}
	if m := host.Mounts[0]; m.Source != "v" || m.Target != "/builds" || m.VolumeOptions.Labels["m"] != "n" || !m.VolumeOptions.NoCopy {
		t.Errorf("mount = %+v", m)
	}
	_, host, networking = containerConfig(plan.Container{Network: "net", Aliases: []string{"build"}}, plan.LocalImage{})
	if host.NetworkMode != "net" || !reflect.DeepEqual(networking.EndpointsConfig["net"].Aliases, []string{"build"}) {
		t.Errorf("network = %v, %+v", host.NetworkMode, networking)
	}
	if opts := networkOptions(plan.Network{MTU: 1400}); opts.Options["com.docker.network.driver.mtu"] != "1400" {
		t.Errorf("network options = %+v", opts)
	}
}

func TestExpired(t *testing.T) {
	now := time.Now()
	labels := map[string]string{plan.LabelTimeout: strconv.Itoa(3600)}
	tests := map[string]struct {
		object object
		want   bool
	}{
		"running":               {object{labels: labels, created: now.Add(-30 * time.Minute)}, false},
		"over its timeout":      {object{labels: labels, created: now.Add(-90 * time.Minute)}, false}, // its cleanup may be on the way
		"long over":             {object{labels: labels, created: now.Add(-4 * time.Hour)}, true},
		"of an unknown age":     {object{labels: labels}, false},
		"without a timeout":     {object{created: now.Add(-99 * time.Hour)}, false},
		"with a broken timeout": {object{labels: map[string]string{plan.LabelTimeout: "x"}, created: now.Add(-99 * time.Hour)}, false},
	}
	for name, tt := range tests {
		if got := expired(tt.object, now); got != tt.want {
			t.Errorf("%s: expired = %v, want %v", name, got, tt.want)
		}
	}
}
