// Package owner tells whose a job is: the gitlab-runner process that called the
// driver. What belongs to a process that is gone, nobody will clean up.
package owner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Runner names the gitlab-runner process that this one descends from, for as
// long as the host runs: by boot, PID namespace, PID and start time. It returns
// "" when there is none, or /proc does not tell. A script in between that calls
// the driver is not taken for it: that ends with each stage.
func Runner() string {
	here, err := namespace()
	if err != nil {
		return ""
	}
	const generations = 8
	pid := os.Getppid()
	for range generations {
		p, err := read(pid)
		if err != nil {
			return ""
		}
		if strings.HasPrefix(p.name, "gitlab-runner") {
			return fmt.Sprintf("%s/%d/%s", here, pid, p.started)
		}
		pid = p.parent
	}
	return ""
}

// Gone reports whether the process that name names has ended. It is false
// whenever that cannot be told: the process may be of another host, or of
// another container.
func Gone(name string) bool {
	there, which, ok := cutLast(name, 2)
	here, err := namespace()
	if !ok || err != nil || there != here {
		return false
	}
	pid, started, _ := strings.Cut(which, "/")
	number, err := strconv.Atoi(pid)
	if err != nil || number <= 0 {
		return false
	}
	now, err := read(number)
	if os.IsNotExist(err) {
		// /proc may hide the processes of others (hidepid): they can be asked for.
		return errors.Is(syscall.Kill(number, 0), syscall.ESRCH)
	}
	return err == nil && (now.ended || now.started != started)
}

// cutLast cuts s in front of its last n parts.
func cutLast(s string, n int) (before, after string, ok bool) {
	at := len(s)
	for range n {
		if at = strings.LastIndexByte(s[:at], '/'); at < 0 {
			return "", "", false
		}
	}
	return s[:at], s[at+1:], true
}

// namespace names the boot and the PID namespace of this process.
func namespace() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + "/" + pids, nil
}

// process is what proc_pid_stat(5) tells of a process.
type process struct {
	name    string
	parent  int
	started string // a PID that is given out again has another one
	ended   bool   // nobody has asked how yet
}

func read(pid int) (process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	stat := string(data)
	// The name, in parentheses, may hold anything, parentheses as well.
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	const first, parent, started = 3, 4, 22 // numbers of fields; first is the one behind the name
	if open < 0 || end < open {
		return process{}, fmt.Errorf("/proc/%d/stat names no program", pid)
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) <= started-first {
		return process{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	p := process{name: stat[open+1 : end], started: fields[started-first], ended: fields[0] == "Z"}
	p.parent, err = strconv.Atoi(fields[parent-first])
	return p, err
}
