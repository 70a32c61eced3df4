package registryauth

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
)

// Docker's own package reads and writes files only: these make one of a single
// entry.
const entryKey = "registry"

type entryFile struct {
	Auths map[string]json.RawMessage `json:"auths"`
}

var (
	errNotBase64 = errors.New("its auth is not the base64 of user:password")
	errWrongType = errors.New("it is not an object of strings")
)

// decodeEntry reads an entry as Docker does. Its errors hold nothing of it.
func decodeEntry(entry json.RawMessage) (types.AuthConfig, error) {
	data, err := json.Marshal(entryFile{map[string]json.RawMessage{entryKey: entry}})
	if err != nil {
		return types.AuthConfig{}, errWrongType
	}
	file := configfile.New("")
	err = file.LoadFromReader(bytes.NewReader(data))
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return types.AuthConfig{}, errWrongType
	case err != nil:
		return types.AuthConfig{}, errNotBase64
	}
	auth := file.AuthConfigs[entryKey]
	auth.ServerAddress = "" // the key, as far as Docker is concerned
	return auth, nil
}
