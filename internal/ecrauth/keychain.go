package ecrauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"golang.org/x/sync/singleflight"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// Options configure a Keychain.
type Options struct {
	// Hosts are registries beside Amazon's that speak the ECR API, as
	// host[:port] and region.
	Hosts map[string]string
	// Roles are tried in order: the first that matches repository and project is
	// assumed. Without a match it is the AWS SDK's default chain.
	Roles []Role
	Job   Job
	// IDTokenVariable is the name of the job's variable with an OIDC token; where
	// it is set, roles are assumed with IDToken and the job's own identity, never
	// with the runner's.
	IDTokenVariable string
	IDToken         registryauth.Secret
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
	// anonymous has the keys of identities that got no token for a registry that
	// needs none: not asked again by this process.
	anonymous sync.Map
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

// Resolve implements registryauth.Keychain: it knows the registries of ECR and
// those of Options.Hosts. Its error has a verdict and a remedy of package
// failure; errors.As finds an *Error when AWS refused or was not reached.
func (k *Keychain) Resolve(ctx context.Context, repository reference.Named) (registryauth.Credential, bool, error) {
	registry, ok := k.registry(reference.Domain(repository))
	if !ok {
		return registryauth.Credential{}, false, nil
	}
	if registry.Public {
		return k.resolvePublic(ctx, registry, reference.Path(repository))
	}
	id, err := k.opts.identify(registry, reference.Path(repository))
	if err != nil {
		return registryauth.Credential{}, false, err
	}
	cred, err := k.credential(ctx, registry, id)
	return cred, err == nil, err
}

// resolvePublic gets a token of ECR Public, which allows more pulls, and pushes.
// Everybody may pull there: without a token the pull is anonymous, as it is to
// be, and does not wait long.
func (k *Keychain) resolvePublic(ctx context.Context, registry Registry, path string) (registryauth.Credential, bool, error) {
	limited, cancel := context.WithTimeout(ctx, publicTimeout)
	defer cancel()
	id, err := k.opts.identify(registry, path)
	key := cacheKey(registry, id)
	if _, refused := k.anonymous.Load(key); refused {
		return registryauth.Credential{}, false, nil
	}
	var cred registryauth.Credential
	if err == nil {
		cred, err = k.credential(limited, registry, id)
	}
	switch {
	case err == nil:
		return cred, true, nil
	case ctx.Err() != nil:
		return registryauth.Credential{}, false, err
	}
	if _, told := k.anonymous.LoadOrStore(key, true); !told {
		k.opts.Warn("Using %s without login: %v", registry.Host, err)
	}
	return registryauth.Credential{}, false, nil
}

func (k *Keychain) credential(ctx context.Context, registry Registry, id identity) (registryauth.Credential, error) {
	key := cacheKey(registry, id)
	result, err, _ := k.calls.Do(key, func() (any, error) { return k.token(ctx, registry, id, key) })
	if err != nil {
		return registryauth.Credential{}, err
	}
	cred, err := result.(token).credential(registry, id)
	// What a role opens is for the projects that have it.
	cred.OfJob = id.role != nil
	return cred, err
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
// a new one at the same time, one calls AWS and the others wait for it, or go on
// with one that is still valid. After a failure nobody asks again for a while as
// long as there is a valid one: AWS being down must not queue the jobs of a host.
func (k *Keychain) token(ctx context.Context, registry Registry, id identity, key string) (token, error) {
	store := openCache(k.opts.StateDir, key, k.opts.Warn)
	cached, ok := store.read()
	if ok && cached.fresh(k.opts.Now()) {
		return cached, nil
	}
	usable := ok && cached.valid(k.opts.Now())
	if usable && store.failedLately(k.opts.Now()) {
		return cached, nil
	}
	unlock, err := store.lock(ctx, usable)
	if err != nil {
		return token{}, err
	}
	if unlock == nil {
		return cached, nil // somebody else is renewing it
	}
	defer unlock()
	cached, ok = store.read()
	if ok && cached.fresh(k.opts.Now()) {
		return cached, nil // somebody else renewed it while we waited
	}

	fetched, err := fetchToken(ctx, registry, id)
	if err != nil {
		if ok && cached.valid(k.opts.Now()) && ctx.Err() == nil {
			k.opts.Warn("%v", err)
			k.opts.Warn("next: %s", failure.Remedy(err))
			store.noteFailure(k.opts.Now())
			k.opts.Warn("Using the ECR token of %s, which is valid until %s", cached.Issued.Format(time.RFC3339), cached.Expires.Format(time.RFC3339))
			return cached, nil
		}
		return token{}, err
	}
	fetched.Issued = k.opts.Now()
	store.write(fetched, fetched.Issued)
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

func (t token) credential(registry Registry, id identity) (registryauth.Credential, error) {
	decoded, err := base64.StdEncoding.DecodeString(t.Authorization)
	user, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		// The cause would print the token.
		return registryauth.Credential{}, fmt.Errorf("ECR token for %s: %w", registry.Host, errNotAToken)
	}
	return registryauth.Credential{
		Username: user,
		Password: registryauth.Secret(password),
		Source:   id.source(registry),
		Expires:  t.Expires,
		RenewAt:  t.renewAt(),
	}, nil
}

var errNotAToken = errors.New("the answer is not base64 of user:password")
