package registryauth

import (
	"context"
	"errors"

	"github.com/distribution/reference"
)

// Keychain finds the credential for a repository.
type Keychain interface {
	// Resolve returns the credential for the registry of repository. found is
	// false when this keychain knows nothing of that registry; err is set when
	// it should know and the look-up failed. The two are never confused: a
	// failed look-up must not turn into an anonymous pull. Safe for concurrent
	// use.
	Resolve(ctx context.Context, repository reference.Named) (cred Credential, found bool, err error)
}

// Chain asks keychains in order; the first that has a credential wins.
type Chain struct {
	Keychains []Keychain
	// Warn is told of a keychain that failed where another had a credential.
	Warn func(format string, args ...any)
}

// Resolve implements Keychain. A keychain that fails does not silence the ones
// after it; its error is returned only when none of them has a credential.
func (c Chain) Resolve(ctx context.Context, repository reference.Named) (Credential, bool, error) {
	var failures []error
	for _, keychain := range c.Keychains {
		cred, found, err := keychain.Resolve(ctx, repository)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if found {
			for _, failure := range failures {
				c.Warn("Looking for credentials for %s: %v", reference.Domain(repository), failure)
			}
			return cred, true, nil
		}
	}
	return Credential{}, false, errors.Join(failures...)
}
