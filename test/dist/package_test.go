package dist

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func deb(arch string) string {
	return filepath.Join(first, "dist", "gitlab-ecr-executor_1.2.3-1_"+arch+".deb")
}

// Packages of later commits are later.
func TestPackageVersion(t *testing.T) {
	ordered := [][2]string{
		{"0123abc", "0.0.0~0123abc"},
		{"v0.1.0-rc1", "0.1.0~rc1"},
		{"v0.1.0-rc1-2-gabc0123", "0.1.0~rc1+2.gabc0123"},
		{"v0.1.0", "0.1.0"},
		{"v0.1.0-dirty", "0.1.0+dirty"},
		{"v0.1.0-9-gabc0123", "0.1.0+9.gabc0123"},
		{"v0.1.0-10-gabc0123-dirty", "0.1.0+10.gabc0123+dirty"},
		{"v0.2.0", "0.2.0"},
	}
	for i, pair := range ordered {
		got := strings.TrimSpace(output(t, "../../deploy/package/version", pair[0]))
		if got != pair[1] {
			t.Errorf("%s: %s, want %s", pair[0], got, pair[1])
		}
		if i > 0 && pair[0] != "v0.1.0-9-gabc0123" { // only a build by hand is dirty
			output(t, "dpkg", "--compare-versions", ordered[i-1][1], "lt", got)
		}
	}
}

func TestDebContents(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		control := output(t, "dpkg-deb", "-I", deb(arch))
		for _, want := range []string{"Package: gitlab-ecr-executor\n", "Version: 1.2.3-1\n", "Architecture: " + arch + "\n", "conffiles"} {
			if !strings.Contains(control, want) {
				t.Errorf("%s: no %q in\n%s", arch, want, control)
			}
		}
		if conffiles := output(t, "dpkg-deb", "-I", deb(arch), "conffiles"); conffiles != "/etc/gitlab-ecr-executor/settings.env\n" {
			t.Errorf("%s: conffiles %q", arch, conffiles)
		}
		contents := output(t, "dpkg-deb", "-c", deb(arch))
		want := map[string]string{
			"./etc/gitlab-ecr-executor/settings.env":                                    "-rw-r-----",
			"./usr/lib/systemd/system/gitlab-runner.service.d/gitlab-ecr-executor.conf": "-rw-r--r--",
			"./usr/share/doc/gitlab-ecr-executor/config.toml":                           "-rw-r--r--",
			"./usr/share/doc/gitlab-ecr-executor/docs/configuration.md":                 "-rw-r--r--",
		}
		for _, name := range append(binaries(t), "aws-drain") {
			want["./usr/lib/gitlab-ecr-executor/"+name] = "-rwxr-xr-x"
		}
		for line := range strings.Lines(contents) {
			fields := strings.Fields(line)
			if fields[1] != "root/root" {
				t.Errorf("%s: owner: %s", arch, line)
			}
			if mode, ok := want[fields[5]]; ok && mode != fields[0] {
				t.Errorf("%s: mode, want %s: %s", arch, mode, line)
			}
			delete(want, fields[5])
		}
		if len(want) > 0 {
			t.Errorf("%s: missing %v in\n%s", arch, want, contents)
		}
	}
}

// The package is installed by dpkg into a root that has nothing, run there,
// installed again over a changed settings file, and purged.
func TestDebInstall(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("dpkg --root needs root")
	}
	root := t.TempDir()
	for _, folder := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// The scripts of the package are run in that root: it needs a shell.
	output(t, "cp", "/bin/busybox", filepath.Join(root, "bin/sh"))
	dpkg := func(args ...string) {
		t.Helper()
		output(t, "dpkg", append([]string{"--root=" + root, "--force-confold"}, args...)...)
	}

	dpkg("--install", deb(runtime.GOARCH))
	checkVersions(t, filepath.Join(root, "usr/lib/gitlab-ecr-executor"))
	for _, name := range binaries(t) {
		// In that root there is no C library either.
		if out, err := exec.Command("chroot", root, "/usr/lib/gitlab-ecr-executor/"+name, "--version").CombinedOutput(); err != nil {
			t.Errorf("%s in the root: %v\n%s", name, err, out)
		}
	}

	settings := filepath.Join(root, "etc/gitlab-ecr-executor/settings.env")
	checkDoctor(t, root, settings)
	if err := os.WriteFile(settings, []byte("ECR_EXECUTOR_LOG_LEVEL=debug\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	dpkg("--install", deb(runtime.GOARCH))
	if data, err := os.ReadFile(settings); err != nil || !strings.HasSuffix(string(data), "=debug\n") {
		t.Errorf("a changed settings file is %q (%v) after an update", data, err)
	}
	dpkg("--purge", "gitlab-ecr-executor")
	for _, gone := range []string{"etc/gitlab-ecr-executor", "usr/lib/gitlab-ecr-executor", "usr/lib/systemd"} {
		if _, err := os.Stat(filepath.Join(root, gone)); err == nil {
			t.Errorf("%s is there after purge", gone)
		}
	}
}

// checkDoctor runs the installed doctor with the shipped files. This host has no
// AWS and no helper image: of what it says, only what concerns the package counts.
func checkDoctor(t *testing.T, root, settings string) {
	t.Helper()
	command := exec.Command(filepath.Join(root, "usr/lib/gitlab-ecr-executor/doctor"), "--env-file", settings,
		"--config", filepath.Join(root, "usr/share/doc/gitlab-ecr-executor/config.toml"))
	command.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true")
	out, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if line := regexp.MustCompile(`(?m)^ok +settings +all defaults`); !line.Match(out) {
		t.Errorf("doctor: no %s in\n%s", line, out)
	}
}

// The .rpm by the tools of its own kind, where they are.
func TestRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("no rpm (apt-get install rpm)")
	}
	for _, arch := range []string{"x86_64", "aarch64"} {
		file := filepath.Join(first, "dist", "gitlab-ecr-executor-1.2.3-1."+arch+".rpm")
		output(t, "rpm", "--checksig", "--nosignature", file)
		if got := output(t, "rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{ARCH} %{BUILDHOST} %{BUILDTIME}", file); got != "gitlab-ecr-executor 1.2.3 "+arch+" localhost "+epoch {
			t.Errorf("%s: %s", arch, got)
		}
		if got := output(t, "rpm", "-qp", "--configfiles", file); got != "/etc/gitlab-ecr-executor/settings.env\n" {
			t.Errorf("%s: config files %q", arch, got)
		}
		files := output(t, "rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]", file)
		want := []string{"-rw-r----- root /etc/gitlab-ecr-executor/settings.env\n"}
		for _, name := range binaries(t) {
			want = append(want, "-rwxr-xr-x root /usr/lib/gitlab-ecr-executor/"+name+"\n")
		}
		for _, line := range want {
			if !strings.Contains(files, line) {
				t.Errorf("%s: no %q in\n%s", arch, line, files)
			}
		}
	}
}

// systemd takes the units.
func TestDropIn(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze (apt-get install systemd)")
	}
	folder := t.TempDir()
	unit := filepath.Join(folder, "gitlab-runner.service")
	if err := os.WriteFile(unit, []byte("[Service]\nExecStart=/bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, "install", "-D", "-m", "644", "../../deploy/package/gitlab-runner.conf", filepath.Join(unit+".d", "gitlab-ecr-executor.conf"))
	// The program of the other unit is not at its place here.
	drain, err := os.ReadFile("../../deploy/aws/gitlab-ecr-executor-drain.service")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(folder, "gitlab-ecr-executor-drain.service")
	if err := os.WriteFile(other, []byte(strings.Replace(string(drain), "/usr/lib/gitlab-ecr-executor/aws-drain", "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit, other).CombinedOutput()
	if err != nil || strings.Contains(string(out), "gitlab-") {
		t.Errorf("%v\n%s", err, out)
	}
}
