package ecrauth

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

// resolveInChild makes the test binary a process that resolves one credential
// and prints its password: what many jobs of a host do at once.
const resolveInChild = "ECRAUTH_TEST_RESOLVE"

func TestMain(m *testing.M) {
	if host := os.Getenv(resolveInChild); host != "" {
		keychain := New(Options{
			Hosts: map[string]string{host: ecrtest.Region}, StateDir: os.Getenv(resolveInChild + "_STATE"),
			Warn: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		})
		repository, err := reference.ParseNormalizedNamed(host + "/app")
		if err == nil {
			cred, _, resolveErr := keychain.Resolve(context.Background(), repository)
			fmt.Print(cred.Password.Reveal())
			err = resolveErr
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// setup starts an ECR and makes this process, and its children, its principal.
func setup(t *testing.T) *ecrtest.Server {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") && name != "AWS_CA_BUNDLE" {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	server := ecrtest.Start()
	t.Cleanup(server.Close)
	for _, entry := range server.Env() {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	return server
}

// subject is a keychain with a clock and a record of its warnings.
type subject struct {
	*Keychain
	now      time.Time
	warnings []string
}

func newSubject(server *ecrtest.Server, stateDir string) *subject {
	s := &subject{now: time.Now()}
	s.Keychain = New(Options{
		Hosts:    map[string]string{server.Host(): ecrtest.Region},
		StateDir: stateDir,
		Now:      func() time.Time { return s.now },
		Warn:     func(format string, args ...any) { s.warnings = append(s.warnings, fmt.Sprintf(format, args...)) },
	})
	return s
}

func (s *subject) password(t *testing.T, image string) (string, error) {
	t.Helper()
	repository, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		t.Fatal(err)
	}
	cred, found, err := s.Resolve(t.Context(), repository)
	if err == nil && found && (cred.Username != "AWS" || cred.Expires.IsZero() || cred.Source != "Amazon ECR (eu-west-1)") {
		t.Errorf("credential = %+v", cred)
	}
	return cred.Password.Reveal(), err
}

func TestTokenIsSharedAndRenewedAtHalfLife(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	first, err := newSubject(server, dir).password(t, server.Host()+"/app")
	if err != nil || first == "" {
		t.Fatalf("password = %q, %v", first, err)
	}
	later := newSubject(server, dir) // the next process
	later.now = later.now.Add(6*time.Hour - time.Minute)
	if again, err := later.password(t, server.Host()+"/other/app"); err != nil || again != first {
		t.Errorf("before half-life: %q, %v; want the first token", again, err)
	}
	if calls := server.TokenCalls(); calls != 1 {
		t.Errorf("%d calls to AWS, want 1", calls)
	}
	later.now = later.now.Add(2 * time.Minute)
	if renewed, err := later.password(t, server.Host()+"/app"); err != nil || renewed == first {
		t.Errorf("after half-life: %v, want a new token", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "ecr", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cache: %v", err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", file, info.Mode(), err)
		}
	}
	if info, _ := os.Stat(filepath.Join(dir, "ecr")); info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, want 0700", info.Mode())
	}
}

func TestThirtyProcessesMakeOneCall(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	var all sync.WaitGroup
	passwords := make([]string, 30)
	for i := range passwords {
		all.Go(func() {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), resolveInChild+"="+server.Host(), resolveInChild+"_STATE="+dir)
			out, err := child.Output()
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			passwords[i] = string(out)
		})
	}
	all.Wait()
	if calls := server.TokenCalls(); calls != 1 {
		t.Errorf("%d calls to AWS, want 1", calls)
	}
	for i, password := range passwords {
		if password == "" || password != passwords[0] {
			t.Errorf("process %d has another token", i)
		}
	}
}

func TestOtherHostsGetNothing(t *testing.T) {
	server := setup(t)
	s := newSubject(server, t.TempDir())
	for _, image := range []string{"busybox", "127.0.0.1:1/app", "111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example/app"} {
		if password, err := s.password(t, image); password != "" || err != nil {
			t.Errorf("%s gets %q, %v", image, password, err)
		}
	}
	if calls := server.TokenCalls(); calls != 0 {
		t.Errorf("%d calls to AWS", calls)
	}
}

func TestAnotherIdentityHasItsOwnToken(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	if _, err := newSubject(server, dir).password(t, server.Host()+"/app"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDOFSOMEBODYELSE00")
	password, err := newSubject(server, dir).password(t, server.Host()+"/app")
	if err == nil || password != "" {
		t.Errorf("an unknown key got %q, %v: a token of another identity", password, err)
	}
}

func TestAWSDown(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	s := newSubject(server, dir)
	first, err := s.password(t, server.Host()+"/app")
	if err != nil {
		t.Fatal(err)
	}
	server.FailAPI(&ecrtest.AccessDenied) // a failure that is not tried again
	s.now = s.now.Add(11 * time.Hour)
	if again, err := s.password(t, server.Host()+"/app"); err != nil || again != first {
		t.Errorf("with a token of one more hour: %v", err)
	}
	if len(s.warnings) != 2 || !strings.Contains(s.warnings[1], "valid until") {
		t.Errorf("warnings = %q", s.warnings)
	}
	s.now = s.now.Add(2 * time.Hour)
	if _, err := s.password(t, server.Host()+"/app"); err == nil {
		t.Error("an expired token was used")
	}
}

func TestCacheThatCannotBeTrusted(t *testing.T) {
	breakages := map[string]func(t *testing.T, file string) error{
		"garbage":            func(_ *testing.T, file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		"empty token":        func(_ *testing.T, file string) error { return os.WriteFile(file, []byte("{}"), 0o600) },
		"readable by others": func(_ *testing.T, file string) error { return os.Chmod(file, 0o644) },
	}
	for name, breakIt := range breakages {
		t.Run(name, func(t *testing.T) {
			server, dir := setup(t), t.TempDir()
			if _, err := newSubject(server, dir).password(t, server.Host()+"/app"); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "ecr", "*.json"))
			if len(files) != 1 {
				t.Fatalf("cache files: %q", files)
			}
			if err := breakIt(t, files[0]); err != nil {
				t.Fatal(err)
			}
			s := newSubject(server, dir)
			if password, err := s.password(t, server.Host()+"/app"); err != nil || password == "" {
				t.Errorf("password = %q, %v", password, err)
			}
			if len(s.warnings) == 0 || !strings.Contains(s.warnings[0], "aside") {
				t.Errorf("warnings = %q", s.warnings)
			}
			if _, err := os.Stat(files[0] + ".corrupt"); err != nil {
				t.Errorf("the file was not set aside: %v", err)
			}
			if calls := server.TokenCalls(); calls != 2 {
				t.Errorf("%d calls, want a new token", calls)
			}
		})
	}
}

func TestStateDirNotWritable(t *testing.T) {
	server := setup(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSubject(server, file) // root may write anywhere but below a file
	if password, err := s.password(t, server.Host()+"/app"); err != nil || password == "" {
		t.Errorf("password = %q, %v", password, err)
	}
	if len(s.warnings) != 1 || !strings.Contains(s.warnings[0], "ECR_EXECUTOR_STATE_DIR") {
		t.Errorf("warnings = %q, want one that names the setting", s.warnings)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	tests := map[string]struct {
		arrange func(t *testing.T, server *ecrtest.Server)
		want    []string
	}{
		"access denied": {
			func(_ *testing.T, server *ecrtest.Server) { server.FailAPI(&ecrtest.AccessDenied) },
			[]string{"AccessDeniedException", "arn:aws:sts::111122223333:assumed-role/ci/i-0abc", Action, "allow"},
		},
		"expired": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{Status: 400, Code: "ExpiredTokenException", Message: "The security token has expired"})
			},
			[]string{"ExpiredTokenException", "The security token has expired", "renew it"},
		},
		"wrong keys": {
			func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "AKIDWRONG00000000000") },
			[]string{"UnrecognizedClientException", "AWS_ACCESS_KEY_ID"},
		},
		"no credentials": {
			func(t *testing.T, _ *ecrtest.Server) {
				t.Setenv("AWS_ACCESS_KEY_ID", "")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			},
			[]string{"no AWS credentials", "instance profile"},
		},
		"no route": {
			func(t *testing.T, _ *ecrtest.Server) { t.Setenv("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1") },
			[]string{"connection refused", "cannot be reached"},
		},
		"throttled": {
			func(_ *testing.T, server *ecrtest.Server) {
				server.FailAPI(&ecrtest.Fault{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"})
			},
			[]string{"ThrottlingException", "ECR_EXECUTOR_STATE_DIR"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := setup(t)
			tt.arrange(t, server)
			_, err := newSubject(server, t.TempDir()).password(t, server.Host()+"/app")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, server.Host(), ecrtest.Region) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("says %q, want %q", err, want)
				}
			}
			if strings.Contains(err.Error(), ecrtest.SecretKey) {
				t.Errorf("the secret key shows in %q", err)
			}
		})
	}
}

func BenchmarkCacheHit(b *testing.B) {
	store := openCache(b.TempDir(), "key", b.Logf)
	store.write(token{Authorization: "QVdTOng=", Issued: time.Now(), Expires: time.Now().Add(12 * time.Hour)})
	for b.Loop() {
		if _, ok := store.read(); !ok {
			b.Fatal("no token")
		}
	}
}
