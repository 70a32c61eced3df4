package gitlabtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// client asks a server as a runner does.
type client struct {
	t   *testing.T
	url string
}

func start(t *testing.T) (*Server, client) {
	s := New()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	return s, client{t, listening.URL}
}

// ask returns status, header and body; headers are name and value in turn.
func (c client) ask(method, path, body string, headers ...string) (int, http.Header, string) {
	c.t.Helper()
	request, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(answer)
}

func (c client) expect(want int, method, path, body string, headers ...string) string {
	c.t.Helper()
	got, _, answer := c.ask(method, path, body, headers...)
	if got != want {
		c.t.Errorf("%s %s: %d, want %d: %s", method, path, got, want, answer)
	}
	return answer
}

func TestRunners(t *testing.T) {
	s, c := start(t)
	c.expect(401, "POST", "/api/v4/user/runners", `{"runner_type":"instance_type"}`)
	c.expect(403, "POST", "/api/v4/user/runners", `{"runner_type":"instance_type"}`, "PRIVATE-TOKEN", WeakToken)
	c.expect(400, "POST", "/api/v4/user/runners", `{}`, "PRIVATE-TOKEN", PrivateToken)
	answer := c.expect(201, "POST", "/api/v4/user/runners", `{"runner_type":"instance_type"}`, "PRIVATE-TOKEN", PrivateToken)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || !strings.HasPrefix(made.Token, "glrt-") {
		t.Fatalf("%s: %v", answer, err)
	}
	c.expect(200, "POST", "/api/v4/runners/verify", fmt.Sprintf(`{"token":%q}`, made.Token))
	c.expect(403, "POST", "/api/v4/runners/verify", `{"token":"glrt-unknown"}`)
	s.RemoveRunner(made.Token)
	c.expect(403, "POST", "/api/v4/runners/verify", fmt.Sprintf(`{"token":%q}`, made.Token))
}

func TestJob(t *testing.T) {
	s, c := start(t)
	ask := fmt.Sprintf(`{"token":%q,"info":{"features":{"cancelable":true}}}`, s.AddRunner())
	c.expect(403, "POST", "/api/v4/jobs/request", `{"token":"glrt-unknown"}`)
	c.expect(204, "POST", "/api/v4/jobs/request", ask)
	id := s.Enqueue(Job{Name: "j", Image: "app:v1", Script: []string{"true"}, Variables: map[string]string{"A": "b"}})
	var got struct {
		ID        int64
		Token     string
		Image     struct{ Name string }
		Variables []struct{ Key, Value string }
		Steps     []struct{ Script []string }
	}
	if err := json.Unmarshal([]byte(c.expect(201, "POST", "/api/v4/jobs/request", ask)), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Image.Name != "app:v1" || got.Steps[0].Script[0] != "true" ||
		!slices.Contains(got.Variables, struct{ Key, Value string }{"A", "b"}) ||
		!slices.Contains(got.Variables, struct{ Key, Value string }{"CI_SERVER_URL", c.url}) {
		t.Errorf("the job is %+v", got)
	}
	c.expect(204, "POST", "/api/v4/jobs/request", ask)

	path := fmt.Sprintf("/api/v4/jobs/%d", id)
	c.expect(202, "PATCH", path+"/trace", "hello ", "Content-Range", "0-5", "JOB-TOKEN", got.Token)
	c.expect(403, "PATCH", path+"/trace", "x", "Content-Range", "6-6", "JOB-TOKEN", "other")
	status, header, _ := c.ask("PATCH", path+"/trace", "gap", "Content-Range", "9-11", "JOB-TOKEN", got.Token)
	if status != 416 || header.Get("Range") != "0-6" {
		t.Errorf("a gap in the log: %d, %v", status, header)
	}
	s.Cancel(id)
	status, header, _ = c.ask("PATCH", path+"/trace", "world", "Content-Range", "6-10", "JOB-TOKEN", got.Token)
	if status != 202 || header.Get("Job-Status") != "canceling" {
		t.Errorf("a cancelled job: %d, %v", status, header)
	}
	c.expect(200, "PUT", path, fmt.Sprintf(`{"token":%q,"state":"failed","exit_code":3}`, got.Token))
	state, err := s.Await(id, time.Second, State.Ended)
	if err != nil || state != (State{Status: "canceled", ExitCode: 3, Trace: "hello world"}) {
		t.Errorf("the job ended as %+v, %v", state, err)
	}
}

func TestJobCancelledBeforehandIsNotGivenOut(t *testing.T) {
	s, c := start(t)
	s.Cancel(s.Enqueue(Job{Name: "j"}))
	c.expect(204, "POST", "/api/v4/jobs/request", fmt.Sprintf(`{"token":%q}`, s.AddRunner()))
}

func TestArtifacts(t *testing.T) {
	s, c := start(t)
	id := s.Enqueue(Job{Name: "j"})
	token := s.jobs[id].token()
	path := fmt.Sprintf("/api/v4/jobs/%d/artifacts", id)
	c.expect(404, "GET", path, "", "JOB-TOKEN", token)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "artifacts.zip")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("zipped"))
	_ = form.Close()
	c.expect(403, "POST", path, body.String(), "JOB-TOKEN", "other", "Content-Type", form.FormDataContentType())
	c.expect(201, "POST", path, body.String(), "JOB-TOKEN", token, "Content-Type", form.FormDataContentType())
	if got := c.expect(200, "GET", path, "", "JOB-TOKEN", token); got != "zipped" {
		t.Errorf("artifacts = %q", got)
	}
}

func TestKnobs(t *testing.T) {
	s, c := start(t)
	c.expect(200, "GET", "/-/health", "")
	c.expect(200, "GET", "/-/readiness", "")
	c.expect(401, "GET", "/api/v4/version", "")
	c.expect(200, "GET", "/api/v4/version", "", "PRIVATE-TOKEN", PrivateToken)
	s.Unready()
	c.expect(200, "GET", "/-/health", "")
	c.expect(503, "GET", "/-/readiness", "")
	s.Fail(http.StatusBadGateway)
	c.expect(502, "GET", "/-/health", "")
	s.Fail(0)
	c.expect(0, "GET", "/-/health", "")
	s.Recover()
	c.expect(200, "GET", "/-/readiness", "")
	if got := s.Requests(); got[0] != "GET /-/health" || len(got) < 8 {
		t.Errorf("requests = %q", got)
	}
}
