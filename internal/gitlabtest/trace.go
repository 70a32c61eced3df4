package gitlabtest

import (
	"fmt"
	"io"
	"net/http"
)

// patchTrace appends to a job's log. A runner whose offset is not the log's
// length is told where to go on.
func (s *Server) patchTrace(w http.ResponseWriter, r *http.Request) {
	patch, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	s.withJob(w, r, r.Header.Get("JOB-TOKEN"), func(j *job) (status int, body any) {
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "%d-%d", &from, &to); err != nil || to-from+1 != len(patch) {
			return http.StatusBadRequest, map[string]string{"error": "Content-Range is not that of the body"}
		}
		w.Header().Set("X-GitLab-Trace-Update-Interval", "1")
		status = http.StatusRequestedRangeNotSatisfiable
		if from == len(j.Trace) {
			j.Trace += string(patch)
			status = http.StatusAccepted
		}
		w.Header().Set("Range", fmt.Sprintf("0-%d", len(j.Trace)))
		return status, nil
	})
}
