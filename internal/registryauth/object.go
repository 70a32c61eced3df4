package registryauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// decodeObject parses a JSON object and leaves its members as they are. Nothing
// at all is an empty object, as it is to Docker. encoding/json quotes what it
// stumbles upon, and that may be a secret: the errors here do not.
func decodeObject(data []byte) (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(data)) == 0 {
		return members, nil
	}
	err := json.Unmarshal(data, &members)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("not valid JSON (at byte %d)", syntax.Offset)
	case err != nil:
		return nil, errors.New("not a JSON object")
	case members == nil: // null
		return map[string]json.RawMessage{}, nil
	}
	return members, nil
}

// encodeObject is the reverse of decodeObject, indented as Docker does it.
func encodeObject(members map[string]json.RawMessage) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // members are kept as they are
	encoder.SetIndent("", "\t")
	err := encoder.Encode(members)
	return out.Bytes(), err
}

// spelling returns how members spells name, or name when it is not there:
// Docker, by way of encoding/json, does not care for case. Two spellings are an
// error: which of them counts depends on their order.
func spelling(members map[string]json.RawMessage, name string) (string, error) {
	found := ""
	for member := range members {
		if !strings.EqualFold(member, name) {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%s is there twice, in upper and lower case", name)
		}
		found = member
	}
	if found == "" {
		return name, nil
	}
	return found, nil
}

// decodeAuths returns the auth entries of a Docker config file and the name of
// the member that holds them.
func decodeAuths(file map[string]json.RawMessage) (entries map[string]json.RawMessage, member string, err error) {
	member, err = spelling(file, "auths")
	if err != nil {
		return nil, "", err
	}
	entries, err = decodeObject(file[member])
	if err != nil {
		return nil, "", fmt.Errorf("auths: %w", err)
	}
	return entries, member, nil
}
