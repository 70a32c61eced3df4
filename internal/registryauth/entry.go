package registryauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

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
	errNotBase64   = errors.New("its auth is not the base64 of user:password")
	errWrongType   = errors.New("it is not an object of strings")
	errNotWritable = errors.New("a Docker config file cannot hold it (no user name, a colon in it, or bytes that are no text)")
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

// encodeEntry writes an entry as Docker does: that it comes out the same when a
// docker login to another registry writes the file anew is what Inject knows it
// by.
func encodeEntry(cred Credential) (json.RawMessage, error) {
	auth := types.AuthConfig{
		Username:      cred.Username,
		Password:      cred.Password.Reveal(),
		IdentityToken: cred.IdentityToken.Reveal(),
		RegistryToken: cred.RegistryToken.Reveal(),
	}
	file := configfile.New("")
	file.AuthConfigs[entryKey] = auth
	var out bytes.Buffer
	if err := file.SaveToWriter(&out); err != nil {
		return nil, fmt.Errorf("encoding it: %w", err)
	}
	var made entryFile
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		return nil, fmt.Errorf("encoding it: %w", err)
	}
	entry := made.Auths[entryKey]
	// user:password is ambiguous, and one entry that Docker cannot read costs
	// the job the whole file.
	if back, err := decodeEntry(entry); err != nil || back != auth {
		return nil, errNotWritable
	}
	return entry, nil
}

// digest is the SHA-256 of an entry, whatever its spacing and the order of its
// members; "" of none.
func digest(entry json.RawMessage) string {
	var value any
	if err := json.Unmarshal(entry, &value); err != nil {
		return "" // no entry, or a number out of range: nothing that we wrote
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
