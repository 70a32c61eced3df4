package ecrauth

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

func TestTokenIsSharedAndRenewedAtHalfLife(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	first, err := newSubject(server, dir).password(t, server.Host()+"/app")
	if err != nil || first == "" {
		t.Fatalf("password = %q, %v", first, err)
	}
	if who := server.TokenPrincipal(first); who != ecrtest.Principal {
		t.Errorf("the token is %s's", who)
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
	if len(s.warnings) != 3 || !strings.Contains(s.warnings[1], "next: allow") || !strings.Contains(s.warnings[2], "valid until") {
		t.Errorf("warnings = %q", s.warnings)
	}
	// AWS is left alone for a while, then asked again.
	calls := server.TokenCalls()
	for wait, want := range []int{0, 1} {
		s.now = s.now.Add(time.Duration(wait) * 2 * patience)
		if again, err := s.password(t, server.Host()+"/app"); err != nil || again != first || server.TokenCalls()-calls != want {
			t.Errorf("after the failure: %v, %d calls, want %d", err, server.TokenCalls()-calls, want)
		}
	}
	s.now = s.now.Add(2 * time.Hour)
	if _, err := s.password(t, server.Host()+"/app"); err == nil {
		t.Error("an expired token was used")
	}
}
