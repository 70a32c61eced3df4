// Package gitlabtest is a GitLab server as far as runners see one: the API that
// creates and verifies them, hands out jobs and takes their logs. Tests and
// `make e2e` use it where no GitLab is at hand. It shares no code with the
// driver.
package gitlabtest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// PrivateToken is the personal access token that may create runners.
const PrivateToken = "glpat-gitlabtest-may-create"

// WeakToken is a personal access token without the scope for that.
const WeakToken = "glpat-gitlabtest-may-read"

// Server is an http.Handler; its methods may be called at once with requests.
type Server struct {
	mux *http.ServeMux

	mu       sync.Mutex
	runners  map[string]int64 // ids by authentication token
	queue    []*job
	jobs     map[int64]*job
	lastID   int64
	requests []string
	fault    *int
	unready  bool
}

// New returns a server that knows no runner and has no job.
func New() *Server {
	s := &Server{
		mux: http.NewServeMux(), runners: map[string]int64{}, jobs: map[int64]*job{},
		lastID: time.Now().UnixMilli(), // ids differ from those of other runs on the same engine
	}
	for pattern, handler := range map[string]http.HandlerFunc{
		"POST /api/v4/user/runners":               s.createRunner,
		"POST /api/v4/runners/verify":             s.verifyRunner,
		"POST /api/v4/jobs/request":               s.requestJob,
		"PUT /api/v4/jobs/{id}":                   s.updateJob,
		"PATCH /api/v4/jobs/{id}/trace":           s.patchTrace,
		"POST /api/v4/jobs/{id}/artifacts":        s.uploadArtifacts,
		"GET /api/v4/jobs/{id}/artifacts":         s.downloadArtifacts,
		"POST /api/v4/jobs/{id}/artifacts/{rest}": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"GET /api/v4/version":                     s.version,
		"GET /-/health":                           s.health,
		"GET /-/readiness":                        s.readiness,
	} {
		s.mux.HandleFunc(pattern, handler)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	fault := s.fault
	s.mu.Unlock()
	switch {
	case fault == nil:
		s.mux.ServeHTTP(w, r)
	case *fault == 0:
		panic(http.ErrAbortHandler) // drops the connection
	default:
		http.Error(w, http.StatusText(*fault), *fault)
	}
}

// Fail makes every answer one with this status; 0 drops connections.
func (s *Server) Fail(status int) { s.locked(func() { s.fault = &status }) }

// Recover ends what Fail and Unready began.
func (s *Server) Recover() { s.locked(func() { s.fault, s.unready = nil, false }) }

// Unready makes the server healthy, but not ready, as one that is starting.
func (s *Server) Unready() { s.locked(func() { s.unready = true }) }

// Requests returns method and path of all requests so far.
func (s *Server) Requests() (all []string) {
	s.locked(func() { all = append(all, s.requests...) })
	return all
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	if token := r.Header.Get("PRIVATE-TOKEN"); token != PrivateToken && token != WeakToken {
		answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"version": "19.3.0", "revision": "gitlabtest"})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("GitLab OK"))
}

func (s *Server) readiness(w http.ResponseWriter, _ *http.Request) {
	var unready bool
	s.locked(func() { unready = s.unready })
	if unready {
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "failed"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// read decodes the body of a request; it answers itself when there is none.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(into); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return false
	}
	return true
}
