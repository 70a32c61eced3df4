package dist

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func helper(arch string) string {
	return filepath.Join(first, "dist", "docker-credential-ecr-login-linux-"+arch)
}

// Everything that is shipped runs with every C library, or none.
func TestStatic(t *testing.T) {
	for arch, machine := range machines {
		files := []string{helper(arch)}
		for _, name := range binaries(t) {
			files = append(files, filepath.Join(first, "dist", "linux_"+arch, name))
		}
		for _, file := range files {
			checkMachine(t, file, machine)
		}
	}
}

// checkMachine checks that a program is static, and for machine.
func checkMachine(t *testing.T, file string, machine elf.Machine) {
	t.Helper()
	binary, err := elf.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	defer binary.Close()
	if binary.Machine != machine {
		t.Errorf("%s is for %s", file, binary.Machine)
	}
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: %s", file, segment.Type)
		}
	}
}

// The credential helper gives what docker asks for, by a token of ECR.
func TestCredentialHelper(t *testing.T) {
	server := ecrtest.Start()
	defer server.Close()
	endpoint := amazonLike(t, server)
	get := func(env ...string) (string, error) {
		command := exec.Command(helper(runtime.GOARCH), "get")
		command.Stdin = strings.NewReader(registry)
		command.Env = append(append(os.Environ(), server.Env()...),
			"AWS_ENDPOINT_URL_ECR="+endpoint, "AWS_ECR_DISABLE_CACHE=true", "HOME="+t.TempDir())
		command.Env = append(command.Env, env...)
		out, err := command.CombinedOutput()
		return string(out), err
	}

	if line := output(t, helper(runtime.GOARCH), "version"); !strings.HasPrefix(line, "docker-credential-ecr-login (") || strings.Contains(line, "development") {
		t.Errorf("version: %q", line)
	}
	out, err := get()
	var answer struct{ Username, Secret string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &answer)
	}
	if err != nil || answer.Username != "AWS" || server.TokenPrincipal(answer.Secret) == "" {
		t.Errorf("get: %v\n%s", err, out)
	}
	if out, err := get("AWS_ACCESS_KEY_ID=wrong"); err == nil || !strings.Contains(out, "credentials not found") {
		t.Errorf("get with a wrong key: %v\n%s", err, out)
	}
}

const registry = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"

// amazonLike answers as server does, but names a registry of Amazon's: the helper
// takes no answer for another host.
func amazonLike(t *testing.T, server *ecrtest.Server) (endpoint string) {
	t.Helper()
	for _, entry := range server.Env() {
		if value, ok := strings.CutPrefix(entry, "AWS_ENDPOINT_URL_ECR="); ok {
			endpoint = value
		}
	}
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(response *http.Response) error {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		body = bytes.ReplaceAll(body, []byte("http://"+server.Host()), []byte("https://"+registry))
		response.Body = io.NopCloser(bytes.NewReader(body))
		response.ContentLength = int64(len(body))
		response.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}

// The runner section for the docker executor names the helper as docker's
// configuration does.
func TestDockerExecutorConfig(t *testing.T) {
	data, err := os.ReadFile("../../deploy/config.docker-executor.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "'DOCKER_AUTH_CONFIG=")
	config, _, _ := strings.Cut(rest, "'")
	var auth struct{ CredHelpers map[string]string }
	if err := json.Unmarshal([]byte(config), &auth); err != nil || len(auth.CredHelpers) == 0 {
		t.Fatalf("%v in %s", err, config)
	}
	for registry, name := range auth.CredHelpers {
		if want := "docker-credential-" + name + "-linux-amd64"; filepath.Base(helper("amd64")) != want {
			t.Errorf("%s: helper %s is not what is built", registry, name)
		}
	}
}
