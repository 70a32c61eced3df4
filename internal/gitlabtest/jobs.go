package gitlabtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Enqueue gives a job to the next runner that asks, and returns its id.
func (s *Server) Enqueue(wanted Job) (id int64) {
	s.locked(func() {
		s.lastID++
		id = s.lastID
		j := &job{Job: wanted, State: State{Status: "pending"}, id: id}
		s.jobs[id], s.queue = j, append(s.queue, j)
	})
	return id
}

// State returns how far a job is.
func (s *Server) State(id int64) (state State) {
	s.locked(func() {
		if j := s.jobs[id]; j != nil {
			state = j.State
		}
	})
	return state
}

// Cancel does what the button in GitLab does. The runner learns of it with its
// next patch of the log.
func (s *Server) Cancel(id int64) {
	s.locked(func() {
		switch j := s.jobs[id]; {
		case j == nil || j.Ended():
		case j.Status == "running" && j.cancelable:
			j.Status = "canceling"
		default:
			j.Status = "canceled"
		}
	})
}

// Await returns the state of a job for which done holds, or an error with what
// the job has logged.
func (s *Server) Await(id int64, limit time.Duration, done func(State) bool) (State, error) {
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		state := s.State(id)
		if done(state) {
			return state, nil
		}
		if time.Now().After(deadline) {
			return state, fmt.Errorf("job %d is %q after %s; its log:\n%s", id, state.Status, limit, state.Trace)
		}
	}
}

func (s *Server) requestJob(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Token string `json:"token"`
		Info  struct {
			Features struct {
				Cancelable bool `json:"cancelable"`
			} `json:"features"`
		} `json:"info"`
	}
	if !read(w, r, &request) {
		return
	}
	if _, known := s.runner(request.Token); !known {
		forbidden(w)
		return
	}
	var next *job
	s.locked(func() {
		for len(s.queue) > 0 && next == nil {
			next, s.queue = s.queue[0], s.queue[1:]
			if next.Status != "pending" {
				next = nil // cancelled before anyone asked
			}
		}
		if next != nil {
			next.Status, next.cancelable = "running", request.Info.Features.Cancelable
		}
	})
	if next == nil {
		w.Header().Set("X-GitLab-Last-Update", "1")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, http.StatusCreated, next.payload("http://"+r.Host))
}

func (s *Server) updateJob(w http.ResponseWriter, r *http.Request) {
	var update struct {
		Token         string `json:"token"`
		State         string `json:"state"`
		FailureReason string `json:"failure_reason"`
		ExitCode      int    `json:"exit_code"`
	}
	if !read(w, r, &update) {
		return
	}
	s.withJob(w, r, update.Token, func(j *job) (status int, body any) {
		switch {
		case j.Status == "canceling" && update.State != "running":
			j.Status = "canceled"
		case j.Status == "running":
			j.Status = update.State
		}
		j.FailureReason, j.ExitCode = update.FailureReason, update.ExitCode
		return http.StatusOK, j.Ended()
	})
}

// withJob answers with what f says of the job that the request names, when the
// token is that job's.
func (s *Server) withJob(w http.ResponseWriter, r *http.Request, token string, f func(*job) (status int, body any)) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	status, body := http.StatusForbidden, any(map[string]string{"message": "403 Forbidden"})
	s.locked(func() {
		if j := s.jobs[id]; j != nil && token == j.token() {
			// A runner goes by this header, on whatever it asks.
			w.Header().Set("Job-Status", j.Status)
			status, body = f(j)
		}
	})
	answer(w, status, body)
}
