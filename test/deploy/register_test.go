package deploy

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
)

// Each mistake has a line of its own, and leaves no config.toml behind.
func TestRegisterRefuses(t *testing.T) {
	s := newStack(t, "compose.yaml")
	server, url := coordinator(t)
	token := server.AddRunner()
	other := httptest.NewServer(nil) // answers, but is no GitLab
	defer other.Close()
	closed := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	socket := filepath.Join(t.TempDir(), "docker.sock")
	for name, tt := range map[string]struct {
		says string
		env  []string
		args []string
	}{
		"wrong token":              {says: "does not know this token", args: []string{url, "glrt-wrong"}},
		"registration token":       {says: "registration token, which GitLab has retired", args: []string{url, "GR1348941abc"}},
		"a token with a quote":     {says: "characters that no token has", args: []string{url, `glrt-"x`}},
		"unreachable":              {says: closed + " is not reachable from the runner: ", args: []string{closed, token}},
		"name that does not exist": {says: "http://nowhere.invalid is not reachable from the runner: ", args: []string{"http://nowhere.invalid", token}},
		"no GitLab":                {says: "is no GitLab server", args: []string{other.URL, token}},
		"no URL":                   {says: "is no URL", args: []string{"gitlab.example.com", token}},
		"a URL with a quote":       {says: "characters that do not belong", args: []string{`http://a"b`, token}},
		"nothing given":            {says: "URL of the GitLab server is missing"},
		"no token":                 {says: "runner authentication token (glrt-...) is missing", args: []string{url}},
		"too much given":           {says: "takes a URL and a token", args: []string{url, token, "x"}},
		"unknown option":           {says: "unknown option --nonsense", args: []string{"--nonsense"}},
		"no socket":                {says: "socket " + socket + " is missing", env: []string{"DOCKER_SOCKET=" + socket}, args: []string{url, token}},
		"no engine":                {says: "the Docker Engine does not answer", env: []string{"DOCKER_HOST=tcp://127.0.0.1:1"}, args: []string{url, token}},
		"no Compose":               {says: "neither docker compose nor docker-compose", env: []string{"COMPOSE=", "PATH=" + pathWithoutCompose(t), "DOCKER_CONFIG=" + t.TempDir()}, args: []string{url, token}},
	} {
		t.Run(name, func(t *testing.T) { s.register(t, 1, tt.says, tt.env, "register", tt.args...) })
	}
	t.Run("a server that fails", func(t *testing.T) {
		server.Fail(502)
		defer server.Recover()
		s.register(t, 1, "answers HTTP 502", nil, "register", url, token)
	})
	s.mustCompose(t, "up", "-d")
	if got := s.inRunner(t, "ls -A /etc/gitlab-runner"); got != "" {
		t.Errorf("left behind: %q", got)
	}
}

// pathWithoutCompose has what the script needs, and docker.
func pathWithoutCompose(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "docker", "dirname", "basename", "id", "tail", "uname"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSocketOfAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be someone else")
	}
	dir, err := os.MkdirTemp("", "deploy") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("sh", "-c", "cp -R "+folder+"/. "+dir+" && chmod -R a+rX "+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, script := range []string{"register", "register-complete"} {
		command := exec.Command(dir+"/"+script, "x")
		command.Dir, command.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is not accessible to nobody") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %s", script, err, out)
		}
	}
}

// It asks for what is missing, and the token does not show.
func TestRegisterAsks(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("needs script(1)")
	}
	s := newStack(t, "compose.yaml")
	server, url := coordinator(t)
	const typed = "glrt-typed-in-the-dark"
	out, err := s.command(folder, url+"\n"+typed+"\n", nil, "script", "-qec", "./register", "/dev/null")
	if err == nil || !strings.Contains(out, "URL of the GitLab server:") || !strings.Contains(out, "does not know this token") {
		t.Errorf("%v\n%s", err, out)
	}
	if asked := strings.Join(server.Requests(), ", "); asked != "POST /api/v4/runners/verify" {
		t.Errorf("the server was asked %s", asked)
	}
	_, after, _ := strings.Cut(out, "authentication token")
	if strings.Contains(after, typed) {
		t.Errorf("the token shows:\n%s", out)
	}
}

// GitLab's images have curl, the stand-ins wget: the same answers.
func TestPostWithCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	_, url := coordinator(t)
	library, err := os.ReadFile(folder + "/lib/http.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ url, header, says string }{
		"created": {url + "/api/v4/user/runners", "PRIVATE-TOKEN: " + gitlabtest.PrivateToken, `201 ,{"id":1,"token":"glrt-`},
		"refused": {url + "/api/v4/user/runners", "PRIVATE-TOKEN: x", "401 ,"},
		"closed":  {fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), "", "000 (7) Failed to connect"},
	} {
		script := string(library) + `
printf '{"runner_type":"instance_type"}' >"$work/body"
post "$1" "$2"
echo "$status $why,$(cat "$work/answer")"`
		out, err := exec.Command("sh", "-euc", script, "sh", tt.url, tt.header).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), tt.says) {
			t.Errorf("%s: %q, %v; want %q", name, out, err, tt.says)
		}
	}
}
