package aws

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// host plays the metadata service of a host whose group takes it in, uses it and
// terminates it: a question for its state each.
func host(t *testing.T) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := ""
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
			answer = "a-token"
		case r.Header.Get("X-aws-ec2-metadata-token") != "a-token":
			http.Error(w, "IMDSv1", http.StatusUnauthorized)
			return
		case r.URL.Path == "/latest/meta-data/instance-id":
			answer = "i-0123"
		case r.URL.Path == "/latest/meta-data/placement/region":
			answer = "eu-west-1"
		case r.URL.Path == "/latest/meta-data/autoscaling/target-lifecycle-state":
			switch asked.Add(1) {
			case 1:
				http.NotFound(w, r)
				return
			case 2:
				answer = "InService"
			default:
				answer = "Terminated"
			}
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// A host that is to go stops the runner first and says so after, also when the
// runner cannot be stopped.
func TestDrain(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	for name, result := range map[string]string{"stopped": "0", "not stopped": "1"} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			calls := filepath.Join(folder, "calls")
			for name, result := range map[string]string{"systemctl": result, "aws": "0"} {
				program := "#!/bin/sh\necho " + name + " \"$@\" >>" + calls + "\nexit " + result + "\n"
				if err := os.WriteFile(filepath.Join(folder, name), []byte(program), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			url, asked := host(t)
			command := exec.Command("../../deploy/aws/drain")
			command.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "INTERVAL=0", "no_proxy=*",
				"AWS_EC2_METADATA_SERVICE_ENDPOINT="+url, "AUTO_SCALING_GROUP=ci", "LIFECYCLE_HOOK=drain")
			if out, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := asked.Load(); n != 3 {
				t.Errorf("asked %d times: want until the group terminates the host", n)
			}
			got, err := os.ReadFile(calls)
			want := "systemctl stop gitlab-runner\n" +
				"aws autoscaling complete-lifecycle-action --region eu-west-1 --auto-scaling-group-name ci" +
				" --lifecycle-hook-name drain --instance-id i-0123 --lifecycle-action-result CONTINUE\n"
			if err != nil || string(got) != want {
				t.Errorf("%v, calls\n%swant\n%s", err, got, want)
			}
		})
	}
}

func TestDrainSettings(t *testing.T) {
	out, err := exec.Command("env", "-i", "/bin/sh", "../../deploy/aws/drain").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "AUTO_SCALING_GROUP") {
		t.Errorf("%v\n%s", err, out)
	}
}
