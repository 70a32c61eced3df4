package gitlabtest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// AddRunner returns the authentication token of a new runner.
func (s *Server) AddRunner() (token string) {
	s.locked(func() { token, _ = s.addRunner() })
	return token
}

// RemoveRunner makes a token one that the server does not know.
func (s *Server) RemoveRunner(token string) { s.locked(func() { delete(s.runners, token) }) }

func (s *Server) addRunner() (token string, id int64) {
	token, id = "glrt-"+strings.ToLower(rand.Text())[:20], int64(len(s.runners)+1)
	s.runners[token] = id
	return token, id
}

// createRunner is the API of "create runner" for a user
// (https://docs.gitlab.com/api/users/#create-a-runner-linked-to-a-user).
func (s *Server) createRunner(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("PRIVATE-TOKEN") {
	case PrivateToken:
	case WeakToken:
		answer(w, http.StatusForbidden, map[string]string{"error": "insufficient_scope", "scope": "create_runner api"})
		return
	default:
		answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
		return
	}
	var runner struct {
		Type string `json:"runner_type"`
	}
	if !read(w, r, &runner) {
		return
	}
	if !slices.Contains([]string{"instance_type", "group_type", "project_type"}, runner.Type) {
		answer(w, http.StatusBadRequest, map[string]string{"error": "runner_type does not have a valid value"})
		return
	}
	var token string
	var id int64
	s.locked(func() { token, id = s.addRunner() })
	answer(w, http.StatusCreated, map[string]any{"id": id, "token": token, "token_expires_at": nil})
}

func (s *Server) verifyRunner(w http.ResponseWriter, r *http.Request) {
	var runner struct {
		Token string `json:"token"`
	}
	if !read(w, r, &runner) {
		return
	}
	id, known := s.runner(runner.Token)
	if !known {
		forbidden(w)
		return
	}
	answer(w, http.StatusOK, map[string]any{"id": id, "token": runner.Token, "token_expires_at": nil})
}

func (s *Server) runner(token string) (id int64, known bool) {
	s.locked(func() { id, known = s.runners[token] })
	return id, known
}

func forbidden(w http.ResponseWriter) {
	answer(w, http.StatusForbidden, map[string]string{"message": "403 Forbidden"})
}
