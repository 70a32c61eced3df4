package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

// load reads the settings from these alone.
func load(t *testing.T, values map[string]string) (Settings, error) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, Prefix+"_") {
			t.Setenv(name, "") // restores it after the test
			os.Unsetenv(name)
		}
	}
	for name, value := range values {
		t.Setenv(Prefix+"_"+name, value)
	}
	return Load()
}

func TestDefaults(t *testing.T) {
	// Names without prefix belong to somebody else.
	t.Setenv("USER", "somebody")
	t.Setenv("IMAGE", "elsewhere")
	s, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.StateDir == "" {
		t.Error("no state folder")
	}
	s.StateDir = ""
	want := Settings{
		VerifyLocalImages:      true,
		WaitForServicesTimeout: 30,
		DindImages:             List{"docker:*dind*", "**/docker:*dind*"},
		DindImage:              "docker:dind", DindSecurity: DindConfined, DindCacheSize: 20 << 30,
		LogLevel: LogLevel(logrus.InfoLevel), LogFormat: "text",
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("defaults = %+v, want %+v", s, want)
	}
}

func TestSetToNothing(t *testing.T) {
	s, err := load(t, map[string]string{"DIND_IMAGES": ""})
	if err != nil || len(s.DindImages) != 0 {
		t.Errorf("DIND_IMAGES = %q (%v), want none", s.DindImages, err)
	}
}

func TestValues(t *testing.T) {
	s, err := load(t, map[string]string{
		"PULL_POLICY":                  "always, if-not-present",
		"ALLOWED_PULL_POLICIES":        `["never"]`,
		"ALLOWED_IMAGES":               "docker.io/library/*, *.dkr.ecr.*/**",
		"CPUS":                         "1.5",
		"MEMORY":                       "2g",
		"SHM_SIZE":                     "256m",
		"CONTAINER_LABELS":             `{"team": "a=b,c"}`,
		"ECR_HOSTS":                    "127.0.0.1:5000=eu-west-1,localhost:4566=us-east-1",
		"ROLES":                        "r.example/**=arn:aws:iam::111122223333:role/ci",
		"WEB_IDENTITY_VARIABLE":        "AWS_ID_TOKEN",
		"NETWORK_MTU":                  "1400",
		"DISABLE_ENTRYPOINT_OVERWRITE": "true",
		"STATE_DIR":                    "/srv/state",
		"LOG_LEVEL":                    "debug",
		"LOG_FORMAT":                   "json",
		"ALLOWED_SERVICES":             "postgres:*",
		"ALLOWED_PRIVILEGED_SERVICES":  "docker:*",
		"WAIT_FOR_SERVICES_TIMEOUT":    "-1",
		"SERVICE_CPUS":                 "2",
		"SERVICE_MEMORY":               "1g",
		"DNS":                          "10.0.0.2",
		"DNS_SEARCH":                   "corp.example",
		"EXTRA_HOSTS":                  "db:10.0.0.3",
		"RUNTIME":                      "sysbox-runc",
		"DIND_IMAGES":                  "**/builder:*",
		"DIND_IMAGE":                   "builder:1",
		"DIND_SECURITY":                "rootless",
		"DIND_CACHE":                   "project",
		"DIND_CACHE_SIZE":              "5g",
		"DIND_REGISTRY_MIRRORS":        "https://mirror.example",
		"DIND_INSECURE_REGISTRIES":     "10.0.0.4:5000",
		"PULL_THROUGH":                 "docker.io=1.example/hub",
		"VERIFY_LOCAL_IMAGES":          "false",
		"REGISTRIES":                   "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		PullPolicy:                 PullPolicies{PullAlways, PullIfNotPresent},
		AllowedPullPolicies:        PullPolicies{PullNever},
		AllowedImages:              List{"docker.io/library/*", "*.dkr.ecr.*/**"},
		Cpus:                       1_500_000_000,
		Memory:                     2 << 30,
		ShmSize:                    256 << 20,
		ContainerLabels:            Pairs{"team": "a=b,c"},
		EcrHosts:                   Pairs{"127.0.0.1:5000": "eu-west-1", "localhost:4566": "us-east-1"},
		Roles:                      Roles{{Repositories: "r.example/**", Role: "arn:aws:iam::111122223333:role/ci"}},
		WebIdentityVariable:        "AWS_ID_TOKEN",
		NetworkMtu:                 1400,
		DisableEntrypointOverwrite: true,
		StateDir:                   "/srv/state",
		LogLevel:                   LogLevel(logrus.DebugLevel),
		LogFormat:                  "json",
		AllowedServices:            List{"postgres:*"},
		AllowedPrivilegedServices:  List{"docker:*"},
		WaitForServicesTimeout:     -1,
		ServiceCpus:                2_000_000_000,
		ServiceMemory:              1 << 30,
		Dns:                        List{"10.0.0.2"},
		DnsSearch:                  List{"corp.example"},
		ExtraHosts:                 List{"db:10.0.0.3"},
		Runtime:                    "sysbox-runc",
		DindImages:                 List{"**/builder:*"},
		DindImage:                  "builder:1",
		DindSecurity:               DindRootless,
		DindCache:                  DindCacheProject,
		DindCacheSize:              5 << 30,
		DindRegistryMirrors:        List{"https://mirror.example"},
		DindInsecureRegistries:     List{"10.0.0.4:5000"},
		PullThrough:                Pairs{"docker.io": "1.example/hub"},
		Registries:                 List{"111122223333.dkr.ecr.eu-west-1.amazonaws.com"},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("settings =\n%+v, want\n%+v", s, want)
	}
}

func TestMistakesNameTheSetting(t *testing.T) {
	tests := map[string]struct{ name, value, want string }{
		"unknown":       {"PULL_POLICIES", "always", "ECR_EXECUTOR_PULL_POLICIES"},
		"pull policy":   {"PULL_POLICY", "sometimes", `unknown pull policy "sometimes"`},
		"JSON array":    {"ALLOWED_IMAGES", `["a"`, "not a JSON array"},
		"JSON object":   {"ECR_HOSTS", `{"a": 1}`, "not a JSON object"},
		"pair":          {"ECR_HOSTS", "localhost:5000", "not a key=value pair"},
		"CPUs":          {"CPUS", "many", "not a number of CPUs"},
		"negative CPUs": {"CPUS", "-1", "not a number of CPUs"},
		"size":          {"MEMORY", "2 potatoes", "ECR_EXECUTOR_MEMORY"},
		"number":        {"NETWORK_MTU", "big", "ECR_EXECUTOR_NETWORK_MTU"},
		"log level":     {"LOG_LEVEL", "loud", "ECR_EXECUTOR_LOG_LEVEL"},
		"variable":      {"WEB_IDENTITY_VARIABLE", "$TOKEN", "without $"},
		"DinD security": {"DIND_SECURITY", "none", "want confined, rootless or privileged"},
		"DinD cache":    {"DIND_CACHE", "forever", "want project or off"},
		"log format":    {"LOG_FORMAT", "xml", "want text or json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, map[string]string{tt.name: tt.value})
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), Prefix+"_"+tt.name) {
				t.Errorf("error = %q, want the setting's name and %q", err, tt.want)
			}
			if failure.IsBuild(err) || failure.Remedy(err) == "" {
				t.Errorf("want a system failure with a remedy, got %#v", err)
			}
		})
	}
}

func TestLoadFile(t *testing.T) {
	t.Setenv("ECR_EXECUTOR_IMAGE", "from-the-process")
	t.Setenv("AWS_PROFILE", "")
	file := filepath.Join(t.TempDir(), "runner.env")
	content := "# runner two\nECR_EXECUTOR_IMAGE=from-the-file\nAWS_PROFILE=two\nECR_EXECUTOR_ECR_HOSTS='{\"a:1\": \"r\"}'\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ECR_EXECUTOR_ECR_HOSTS", "")
	if err := LoadFile(file); err != nil {
		t.Fatal(err)
	}
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if s.Image != "from-the-file" || s.EcrHosts["a:1"] != "r" || os.Getenv("AWS_PROFILE") != "two" {
		t.Errorf("settings = %+v, AWS_PROFILE = %q", s, os.Getenv("AWS_PROFILE"))
	}
	if err := LoadFile(file + ".missing"); err == nil || !strings.Contains(err.Error(), file) || failure.Remedy(err) == "" {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("no equals sign here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := LoadFile(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("broken file: %v", err)
	}
}
