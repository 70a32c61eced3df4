package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/sirupsen/logrus"
)

// List is comma-separated, or a JSON array of strings.
type List []string

// Decode implements envconfig.Decoder.
func (l *List) Decode(value string) error {
	items, err := decodeList(value)
	*l = items
	return err
}

func decodeList(value string) ([]string, error) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "[") {
		var items []string
		if err := json.Unmarshal([]byte(value), &items); err != nil {
			return nil, fmt.Errorf("not a JSON array of strings: %w", err)
		}
		return items, nil
	}
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items, nil
}

// Pairs is a comma-separated list of key=value, or a JSON object of strings.
type Pairs map[string]string

// Decode implements envconfig.Decoder.
func (p *Pairs) Decode(value string) error {
	pairs := Pairs{}
	if strings.HasPrefix(strings.TrimSpace(value), "{") {
		if err := json.Unmarshal([]byte(value), &pairs); err != nil {
			return fmt.Errorf("not a JSON object of strings: %w", err)
		}
		*p = pairs
		return nil
	}
	items, err := decodeList(value)
	if err != nil {
		return err
	}
	for _, item := range items {
		key, val, ok := strings.Cut(item, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not a key=value pair", item)
		}
		pairs[key] = val
	}
	*p = pairs
	return nil
}

// PullPolicy says when an image is pulled.
type PullPolicy string

// The pull policies of the docker executor.
const (
	PullAlways       PullPolicy = "always"
	PullIfNotPresent PullPolicy = "if-not-present"
	PullNever        PullPolicy = "never"
)

// PullPolicies is a List of pull policies, tried in order.
type PullPolicies []PullPolicy

// Decode implements envconfig.Decoder.
func (p *PullPolicies) Decode(value string) error {
	names, err := decodeList(value)
	if err != nil {
		return err
	}
	*p, err = ParsePullPolicies(names)
	return err
}

// ParsePullPolicies checks the names of pull policies.
func ParsePullPolicies(names []string) (PullPolicies, error) {
	var policies PullPolicies
	for _, name := range names {
		policy := PullPolicy(name)
		if !slices.Contains([]PullPolicy{PullAlways, PullIfNotPresent, PullNever}, policy) {
			return nil, fmt.Errorf("unknown pull policy %q: want %s, %s or %s", name, PullAlways, PullIfNotPresent, PullNever)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// Bytes is a size in bytes, written as 512m or 2g.
type Bytes int64

// Decode implements envconfig.Decoder.
func (b *Bytes) Decode(value string) error {
	size, err := units.RAMInBytes(value)
	*b = Bytes(size)
	return err
}

// CPUs is a number of CPUs in billionths, the Engine API's NanoCPUs; 0 is no limit.
type CPUs int64

// Decode implements envconfig.Decoder.
func (c *CPUs) Decode(value string) error {
	cpus, err := strconv.ParseFloat(value, 64)
	// Not by NaN's way, which is neither below nor above.
	if err != nil || !(cpus >= 0 && cpus <= 1<<16) {
		return fmt.Errorf("not a number of CPUs: want one such as 1.5, or 0 for no limit")
	}
	*c = CPUs(cpus * 1e9)
	return nil
}

// LogLevel is a logrus level.
type LogLevel logrus.Level

// Decode implements envconfig.Decoder.
func (l *LogLevel) Decode(value string) error {
	level, err := logrus.ParseLevel(value)
	*l = LogLevel(level)
	return err
}

// LogFormat is "text" or "json".
type LogFormat string

// Decode implements envconfig.Decoder.
func (f *LogFormat) Decode(value string) error {
	if value != "text" && value != "json" {
		return fmt.Errorf("want text or json")
	}
	*f = LogFormat(value)
	return nil
}

// DindSecurity says how a DinD sidecar is kept from the host.
type DindSecurity string

// The ways to keep a sidecar, from the job's least power to its most.
const (
	DindRootless   DindSecurity = "rootless"
	DindConfined   DindSecurity = "confined"
	DindPrivileged DindSecurity = "privileged"
)

// Decode implements envconfig.Decoder.
func (d *DindSecurity) Decode(value string) error {
	*d = DindSecurity(value)
	switch *d {
	case DindRootless, DindConfined, DindPrivileged:
		return nil
	}
	return fmt.Errorf("want %s, %s or %s", DindConfined, DindRootless, DindPrivileged)
}

// DindCache says for whom a sidecar's store is kept.
type DindCache string

// DindCacheProject keeps a store for a project and slot.
const DindCacheProject DindCache = "project"

// Decode implements envconfig.Decoder.
func (d *DindCache) Decode(value string) error {
	if value != "" && value != "off" && value != string(DindCacheProject) {
		return fmt.Errorf("want %s or off", DindCacheProject)
	}
	*d = DindCache(value)
	return nil
}
