package registryauth

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// TestOthersReadTheFile reads what Inject wrote as the tools in a job do.
func TestOthersReadTheFile(t *testing.T) {
	config, record := inject(t, nil, nil, map[string]Credential{
		ecrHost:           token("1"),
		"r.example:5000":  token("2:with:colons"),
		"r.example/group": {Username: "group", Password: "3"},
		"docker.io":       {Username: "hub", Password: "4"},
		"i.example":       {Username: "0000", IdentityToken: "identity"},
	}, "/root/.docker/cli-plugins")
	config, _ = inject(t, config, record, map[string]Credential{ecrHost: token("renewed")})

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_AUTH_CONFIG", "") // the docker command reads it too

	want := map[string]authn.AuthConfig{ // by image
		ecrHost + "/app:1":     {Username: "AWS", Password: "renewed"},
		"r.example:5000/app":   {Username: "AWS", Password: "2:with:colons"},
		"r.example/group":      {Username: "group", Password: "3"},
		"alpine":               {Username: "hub", Password: "4"},
		"i.example/app":        {Username: "0000", IdentityToken: "identity"},
		"other.example/app":    {},
		"r.example:5001/group": {},
	}
	for image, cred := range want {
		ref, err := name.ParseReference(image)
		if err != nil {
			t.Fatal(err)
		}
		authenticator, err := authn.DefaultKeychain.Resolve(ref.Context())
		if err != nil {
			t.Fatalf("go-containerregistry: %v", err)
		}
		got, err := authenticator.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		got.Auth = "" // user and password once more
		if *got != cred {
			t.Errorf("go-containerregistry, %s: %+v, want %+v", image, *got, cred)
		}
	}

	file, err := dockerconfig.Load(dir)
	if err != nil {
		t.Fatalf("docker: %v", err)
	}
	if !reflect.DeepEqual(file.CLIPluginsExtraDirs, []string{"/root/.docker/cli-plugins"}) {
		t.Errorf("docker: plugins in %q", file.CLIPluginsExtraDirs)
	}
	for host, image := range map[string]string{ecrHost: ecrHost + "/app:1", "r.example:5000": "r.example:5000/app", "docker.io": "alpine", "i.example": "i.example/app", "other.example": "other.example/app"} {
		got, err := file.GetAuthConfig(host)
		if err != nil {
			t.Fatalf("docker: %v", err)
		}
		if cred := want[image]; got.Username != cred.Username || got.Password != cred.Password || got.IdentityToken != cred.IdentityToken {
			t.Errorf("docker, %s: %+v, want %+v", host, got, cred)
		}
	}
}
