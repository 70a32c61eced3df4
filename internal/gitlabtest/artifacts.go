package gitlabtest

import (
	"io"
	"net/http"
	"strconv"
)

func (s *Server) uploadArtifacts(w http.ResponseWriter, r *http.Request) {
	file, header, err := r.FormFile("file")
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	s.withJob(w, r, r.Header.Get("JOB-TOKEN"), func(j *job) (status int, body any) {
		j.artifacts, j.filename = content, header.Filename
		return http.StatusCreated, nil
	})
}

func (s *Server) downloadArtifacts(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var found *job
	s.locked(func() {
		if j := s.jobs[id]; j != nil && r.Header.Get("JOB-TOKEN") == j.token() && j.artifacts != nil {
			found = &job{artifacts: j.artifacts, filename: j.filename}
		}
	})
	if found == nil {
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not Found"})
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(found.filename))
	_, _ = w.Write(found.artifacts)
}
