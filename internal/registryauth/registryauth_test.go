package registryauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	cred := Credential{Username: "AWS", Password: "hunter2"}
	marshalled, err := json.Marshal(cred)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(cred),
		fmt.Sprintf("%+v", cred),
		fmt.Sprintf("%#v", cred),
		fmt.Sprintf("%s %q %x", cred.Password, cred.Password, cred.Password),
		string(marshalled),
	} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("the secret shows in %s", shown)
		}
	}
	if got := cred.Password.Reveal(); got != "hunter2" {
		t.Errorf("Reveal() = %q", got)
	}
}

// stubKeychain answers with what it holds, whatever the repository.
type stubKeychain struct {
	cred  Credential
	found bool
	err   error
}

func (k stubKeychain) Resolve(context.Context, reference.Named) (Credential, bool, error) {
	return k.cred, k.found, k.err
}

func TestChain(t *testing.T) {
	broken := stubKeychain{err: errors.New("helper crashed")}
	empty := stubKeychain{}
	first := stubKeychain{cred: Credential{Username: "first"}, found: true}
	second := stubKeychain{cred: Credential{Username: "second"}, found: true}

	tests := map[string]struct {
		chain    []Keychain
		wantUser string
		wantErr  error
	}{
		"nothing configured":                        {chain: nil},
		"no keychain knows the registry":            {chain: []Keychain{empty, empty}},
		"the first credential wins":                 {chain: []Keychain{empty, first, second}, wantUser: "first"},
		"a failure does not silence the next":       {chain: []Keychain{broken, second}, wantUser: "second"},
		"a failure alone is not an anonymous pull":  {chain: []Keychain{broken, empty}, wantErr: broken.err},
		"the failure of the last one is returned":   {chain: []Keychain{empty, broken}, wantErr: broken.err},
		"keychains after the first hit are not run": {chain: []Keychain{first, broken}, wantUser: "first"},
	}
	repository, err := reference.ParseNormalizedNamed("registry.example/app")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			warnings := 0
			warn := func(string, ...any) { warnings++ }
			cred, found, err := Chain{tt.chain, warn}.Resolve(t.Context(), repository)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error = %v, want %v", err, tt.wantErr)
			}
			if found != (tt.wantUser != "") || cred.Username != tt.wantUser {
				t.Fatalf("Resolve() = %q, %v; want %q", cred.Username, found, tt.wantUser)
			}
			if want := tt.wantUser == "second" && strings.Contains(name, "failure"); (warnings > 0) != want {
				t.Errorf("%d warnings, want some: %v", warnings, want)
			}
		})
	}
}
