package registryauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Inject puts entries, by host[:port][/path], into the Docker config file of a
// job, which the job's own docker login and docker logout change too. It touches
// nothing but its own entries: what the job logged in to by itself, changed or
// logged out of stays as the job left it, everything else in the file as well.
//
// current is the file as it is, record what the last Inject of this file
// returned; both are empty the first time. config is the file as it should be,
// the same bytes as current when nothing is to be done. newRecord holds a digest
// of each entry that was written. It reveals no token, but a weak password can
// be guessed from it: it belongs beside the file, in the same write.
//
// pluginDirs are added the first time, unless the file names its own: with
// DOCKER_CONFIG set, docker does not find the plugins of an image in
// ~/.docker/cli-plugins by itself.
//
// It fails when current or record is not what it should be, or when Docker could
// not read a credential back; the file is best left alone then. Errors hold no
// content.
func Inject(current, record []byte, entries map[string]Credential, pluginDirs []string) (config, newRecord []byte, err error) {
	if len(bytes.TrimSpace(current)) == 0 {
		// Logging out edits the file and leaves it there. A script that removes it
		// wants a clean slate, not to lose what it never asked for: begin anew.
		record = nil
	}
	file, err := decodeObject(current)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the job's Docker config: %w", err)
	}
	auths, authsMember, err := decodeAuths(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the job's Docker config: %w", err)
	}
	written := map[string]string{}
	if len(record) > 0 {
		if json.Unmarshal(record, &written) != nil || written == nil {
			return nil, nil, fmt.Errorf("reading the record of the job's Docker config: not an object of digests")
		}
	}
	changed, err := injectAuths(auths, written, entries)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the job's Docker config: %w", err)
	}
	if changed {
		if file[authsMember], err = encodeObject(auths); err != nil {
			return nil, nil, fmt.Errorf("writing the job's Docker config: %w", err)
		}
	}
	if len(record) == 0 && len(pluginDirs) > 0 {
		added, err := addPluginDirs(file, pluginDirs)
		if err != nil {
			return nil, nil, fmt.Errorf("writing the job's Docker config: %w", err)
		}
		changed = changed || added
	}
	config = current
	if changed {
		if config, err = encodeObject(file); err != nil {
			return nil, nil, fmt.Errorf("writing the job's Docker config: %w", err)
		}
	}
	if newRecord, err = json.Marshal(written); err != nil {
		return nil, nil, fmt.Errorf("writing the record of the job's Docker config: %w", err)
	}
	return config, newRecord, nil
}

// injectAuths writes to auths those of entries that are not the job's, and their
// digests to written. It reports whether auths changed.
func injectAuths(auths map[string]json.RawMessage, written map[string]string, entries map[string]Credential) (changed bool, err error) {
	taken := map[string]bool{}
	for key := range auths {
		taken[registryPath(key)] = true
	}
	for _, given := range slices.Sorted(maps.Keys(entries)) {
		key := fileKey(given)
		digestWritten, isOurs := written[key]
		switch {
		case isOurs && digest(auths[key]) != digestWritten: // the job logged in or out since
			continue
		case !isOurs && taken[registryPath(key)]: // the job came first, perhaps with another key for the same
			continue
		}
		entry, err := encodeEntry(entries[given])
		if err != nil {
			return false, fmt.Errorf("the credential for %s: %w", given, err)
		}
		if digest(entry) == digestWritten {
			continue
		}
		auths[key], written[key] = entry, digest(entry)
		changed = true
	}
	return changed, nil
}

// addPluginDirs adds the folders to a file that names none.
func addPluginDirs(file map[string]json.RawMessage, dirs []string) (added bool, err error) {
	member, err := spelling(file, "cliPluginsExtraDirs")
	if err != nil {
		return false, err
	}
	if _, named := file[member]; named {
		return false, nil
	}
	file[member], err = json.Marshal(dirs)
	return true, err
}
