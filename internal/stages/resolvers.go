package stages

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// resolvConfs are looked at in order: the second holds the real servers where
// the first names a local stub (systemd-resolved(8)).
var resolvConfs = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// resolvers returns the DNS servers of this host that a container reaches too.
// On a network of its own, a sidecar sees the engine's resolver on a loopback
// address, which does not serve the containers inside: without others, dockerd
// would send them to a public one, which knows no private name.
func resolvers(files []string) (servers []string) {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(strings.NewReader(string(data)))
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 2 || fields[0] != "nameserver" {
				continue
			}
			address, err := netip.ParseAddr(fields[1])
			if err == nil && !address.IsLoopback() && address.Zone() == "" {
				servers = append(servers, address.String())
			}
		}
		if len(servers) > 0 {
			return servers
		}
	}
	return nil
}
