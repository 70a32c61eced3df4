package ecrauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"
	"golang.org/x/sync/singleflight"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// Options configure a Keychain.
type Options struct {
	// Hosts are registries beside Amazon's that speak the ECR API, as
	// host[:port] and region.
	Hosts map[string]string
	// StateDir is where tokens are kept for other processes; "" keeps none.
	StateDir string
	// Warn tells the user what went wrong although a credential was found.
	Warn func(format string, args ...any)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Keychain implements registryauth.Keychain for Amazon ECR.
type Keychain struct {
	opts  Options
	calls singleflight.Group
}

// New returns a keychain. It calls nobody yet and starts no AWS SDK.
func New(opts Options) *Keychain {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Warn == nil {
		opts.Warn = func(string, ...any) {}
	}
	return &Keychain{opts: opts}
}

// Resolve implements registryauth.Keychain: it knows private ECR registries and
// those of Options.Hosts. Its error is *Error when AWS refused or was not
// reached.
func (k *Keychain) Resolve(ctx context.Context, repository reference.Named) (registryauth.Credential, bool, error) {
	registry, ok := k.registry(reference.Domain(repository))
	if !ok {
		return registryauth.Credential{}, false, nil
	}
	key := cacheKey(registry)
	result, err, _ := k.calls.Do(key, func() (any, error) { return k.token(ctx, registry, key) })
	if err != nil {
		return registryauth.Credential{}, false, err
	}
	cred, err := result.(token).credential(registry)
	return cred, err == nil, err
}

// Knows reports whether host is a registry that Resolve gets a token for.
func (k *Keychain) Knows(host string) bool {
	_, ok := k.registry(host)
	return ok
}

func (k *Keychain) registry(host string) (Registry, bool) {
	if registry, ok := ParseHost(host); ok {
		return registry, true
	}
	if registry, ok := parseLocalStack(host, apiEndpoint()); ok {
		return registry, true
	}
	if region, ok := k.opts.Hosts[host]; ok {
		return Registry{Host: host, Region: region, Emulated: true, partition: partitionOf(region)}, true
	}
	return Registry{}, false
}

// token returns a token from the cache or from AWS. Of all processes that need
// a new one at the same time, one calls AWS and the others wait for it.
func (k *Keychain) token(ctx context.Context, registry Registry, key string) (token, error) {
	store := openCache(k.opts.StateDir, key, k.opts.Warn)
	if cached, ok := store.read(); ok && cached.fresh(k.opts.Now()) {
		return cached, nil
	}
	unlock, err := store.lock(ctx)
	if err != nil {
		return token{}, err
	}
	defer unlock()
	cached, ok := store.read()
	if ok && cached.fresh(k.opts.Now()) {
		return cached, nil // somebody else renewed it while we waited
	}

	fetched, err := fetchToken(ctx, registry)
	if err != nil {
		if ok && cached.valid(k.opts.Now()) && ctx.Err() == nil {
			k.opts.Warn("%v", err)
			k.opts.Warn("Using the ECR token of %s, which is valid until %s", cached.Issued.Format(time.RFC3339), cached.Expires.Format(time.RFC3339))
			return cached, nil
		}
		return token{}, err
	}
	fetched.Issued = k.opts.Now()
	store.write(fetched)
	return fetched, nil
}

// token is an authorization token of ECR as it stands in the cache.
type token struct {
	// Authorization is base64 of "user:password", as ECR gives it.
	Authorization string    `json:"authorization"`
	Issued        time.Time `json:"issued"`
	Expires       time.Time `json:"expires"`
}

// fresh reports whether the token is in the first half of its life: 6 of the 12
// hours that ECR gives.
func (t token) fresh(now time.Time) bool {
	return now.Before(t.renewAt()) && t.valid(now)
}

func (t token) renewAt() time.Time { return t.Issued.Add(t.Expires.Sub(t.Issued) / 2) }

// valid reports whether the token can still be used, with time left for a pull.
func (t token) valid(now time.Time) bool {
	margin := min(5*time.Minute, t.Expires.Sub(t.Issued)/10)
	return now.Before(t.Expires.Add(-margin))
}

func (t token) credential(registry Registry) (registryauth.Credential, error) {
	decoded, err := base64.StdEncoding.DecodeString(t.Authorization)
	user, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		// The cause would print the token.
		return registryauth.Credential{}, fmt.Errorf("ECR token for %s: %w", registry.Host, errNotAToken)
	}
	return registryauth.Credential{
		Username: user,
		Password: registryauth.Secret(password),
		Source:   fmt.Sprintf("Amazon ECR (%s)", registry.Region),
		Expires:  t.Expires,
		RenewAt:  t.renewAt(),
	}, nil
}

var errNotAToken = errors.New("the answer is not base64 of user:password")
