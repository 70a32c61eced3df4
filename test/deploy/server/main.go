// Command server stands in for GitLab in an image that cannot be pulled here:
// gitlabtest at the port of external_url, and a way to give it jobs.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlabtest"
)

func main() {
	found := regexp.MustCompile(`external_url 'http://[^:']+:(\d+)'`).FindStringSubmatch(os.Getenv("GITLAB_OMNIBUS_CONFIG"))
	if found == nil {
		log.Fatal("GITLAB_OMNIBUS_CONFIG has no external_url with a port")
	}
	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
		os.Exit(healthcheck(found[1]))
	}
	server := gitlabtest.New()
	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.HandleFunc("POST /stand-in/jobs", func(w http.ResponseWriter, r *http.Request) {
		var job gitlabtest.Job
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, server.Enqueue(job))
	})
	mux.HandleFunc("GET /stand-in/jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		_ = json.NewEncoder(w).Encode(server.State(id))
	})
	log.Fatal(http.ListenAndServe(":"+found[1], mux))
}

func healthcheck(port string) (code int) {
	response, err := http.Get("http://127.0.0.1:" + port + "/-/readiness")
	if err != nil || response.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
