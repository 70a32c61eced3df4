package deploy

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Both files are what Compose wants, as they are, for every Compose that is here.
func TestFilesAreValid(t *testing.T) {
	checked := 0
	for _, command := range []string{"docker compose", "docker-compose"} {
		words := strings.Fields(command)
		if exec.Command(words[0], append(words[1:], "version")...).Run() != nil {
			continue
		}
		checked++
		for _, file := range []string{"compose.yaml", "compose.complete.yaml"} {
			c := exec.Command(words[0], append(words[1:], "-f", file, "config", "--quiet")...)
			c.Dir, c.Env = folder, []string{"PATH=" + os.Getenv("PATH"), "DOCKER_CONFIG=" + os.Getenv("DOCKER_CONFIG")}
			if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s -f %s config: %v\n%s", command, file, err, out)
			}
		}
	}
	if checked == 0 {
		t.Error("no Docker Compose: apt-get install docker-compose")
	}
}

// The page shows what the tests run: the arguments of Compose in their order,
// scripts that are there, and variables that the files know.
func TestPage(t *testing.T) {
	page := read(t, "../../docs/compose.md")
	files := read(t, folder+"/compose.yaml") + read(t, folder+"/compose.complete.yaml")
	commands := regexp.MustCompile(`docker compose ([^\n`+"`"+`]*)`).FindAllStringSubmatch(page, -1)
	right := regexp.MustCompile(`^-f deploy/compose(\.complete)?\.yaml (up -d|down|exec )`)
	shown := 0
	for _, command := range commands {
		if strings.TrimSpace(command[1]) == "" {
			continue // the name alone
		}
		shown++
		if !right.MatchString(command[1]) {
			t.Errorf("docker compose %s: not a command that the tests run", command[1])
		}
	}
	if shown < 4 {
		t.Errorf("%d commands found", shown)
	}
	for _, script := range regexp.MustCompile(`deploy/register[a-z-]*`).FindAllString(page, -1) {
		if out, err := exec.Command("../../"+script, "--help").CombinedOutput(); err != nil {
			t.Errorf("%s --help: %v: %s", script, err, out)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(files, "${"+row[1]+":-"+row[2]+"}") {
			t.Errorf("the Compose files have no ${%s:-%s}", row[1], row[2])
		}
	}
	scripts := read(t, folder+"/register") + read(t, folder+"/lib/host.sh") + read(t, folder+"/lib/http.sh") + read(t, folder+"/lib/write-config.sh")
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]*)` \\| [a-z]").FindAllStringSubmatch(page[strings.Index(page, "## When it fails"):], -1) {
		for part := range strings.SplitSeq(row[1], "...") {
			if part = strings.TrimSpace(part); !strings.Contains(scripts, part) {
				t.Errorf("no script says %q", part)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
