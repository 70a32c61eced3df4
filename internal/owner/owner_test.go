package owner

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestGone(t *testing.T) {
	here, _ := namespace()
	child := exec.Command("sleep", "600")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := read(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	started := p.started
	name := fmt.Sprintf("%s/%d/%s", here, child.Process.Pid, started)
	if Gone(name) {
		t.Error("a running process is gone")
	}
	if !Gone(fmt.Sprintf("%s/%d/1%s", here, child.Process.Pid, started)) {
		t.Error("a process that has another's PID is taken for it")
	}
	_ = child.Process.Kill()
	for deadline := time.Now().Add(10 * time.Second); !Gone(name); { // a zombie until Wait
		if time.Now().After(deadline) {
			t.Fatal("a killed process that nobody has waited for is not gone")
		}
		runtime.Gosched()
	}
	_ = child.Wait()
	if !Gone(name) {
		t.Error("an ended process is not gone")
	}
	for _, unknown := range []string{
		"", "x", "a/b", strings.Replace(name, here, "other-boot/pid:[1]", 1), here + "/x/1", here + "/-1/1", here + "/" + fmt.Sprint(os.Getpid()),
	} {
		if Gone(unknown) {
			t.Errorf("Gone(%q): nobody can tell", unknown)
		}
	}
}

// The runner is found behind a script that calls the driver, and nothing else
// is taken for it.
func TestRunner(t *testing.T) {
	if os.Getenv("OWNER_TEST_CHILD") != "" {
		fmt.Println(Runner())
		os.Exit(0)
	}
	runner := filepath.Join(t.TempDir(), "gitlab-runner")
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(runner, shell, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(words ...string) (pid int, name string) {
		t.Helper()
		command := exec.Command(words[0], words[1:]...)
		command.Env = append(os.Environ(), "OWNER_TEST_CHILD=1")
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		return command.Process.Pid, strings.TrimSpace(string(out))
	}
	call := self + " -test.run=^TestRunner$; exit $?" // the shells must not exec
	pid, name := ask(runner, "-c", "sh -c '"+call+"'; exit $?")
	if !strings.Contains(name, fmt.Sprintf("/%d/", pid)) || !Gone(name) {
		t.Errorf("Runner() = %q (gone: %v), want that of process %d, which is gone", name, Gone(name), pid)
	}
	if _, name := ask("sh", "-c", call); name != "" {
		t.Errorf("Runner() = %q without a gitlab-runner", name)
	}
}

func TestSelf(t *testing.T) {
	name := Self()
	if name == "" || Gone(name) {
		t.Errorf("Self() = %q, gone: %t", name, Gone(name))
	}
	if other := strings.TrimSuffix(name, "/") + "0"; !Gone(other) {
		t.Errorf("%q, of another start time, is not gone", other)
	}
}
