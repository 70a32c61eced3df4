// Package registryauth holds what every source of registry credentials has in
// common: the credential itself, the Keychain that finds one, the ordered chain
// of keychains, and Docker's config file, which holds credentials.
package registryauth

import "time"

// Secret is a string that must not be printed: every formatting verb shows
// "[redacted]" in its place. Reveal gives the value, for the one place that
// sends it.
type Secret string

const redacted = "[redacted]"

// String hides the value from %s, %v and loggers.
func (Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (Secret) GoString() string { return redacted }

// MarshalText hides the value from encoding/json and from loggers that use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the secret value.
func (s Secret) Reveal() string { return string(s) }

// Credential authenticates to one registry.
type Credential struct {
	Username string
	Password Secret
	// IdentityToken is what some registries give at login in place of the
	// password; RegistryToken is a bearer token. Both are rare, and sent as they
	// are.
	IdentityToken, RegistryToken Secret
	// Source says where the credential came from, for the job log: it names
	// no secret.
	Source string
	// OfJob says that the job brought it: other jobs of this runner may have no
	// right to what it opens.
	OfJob bool
	// Expires is when the registry stops to accept the credential; zero when
	// that is not known.
	Expires time.Time
	// RenewAt is when the keychain has a newer one; zero when it never will.
	RenewAt time.Time
}
