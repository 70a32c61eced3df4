package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/replay"
)

// response is the part of a job that the replay takes.
type response struct {
	ID      int64  `json:"id"`
	Token   string `json:"token"`
	JobInfo struct {
		Name      string `json:"name"`
		ProjectID int64  `json:"project_id"`
	} `json:"job_info"`
	RunnerInfo struct {
		Timeout int `json:"timeout"`
	} `json:"runner_info"`
	Variables []struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Masked bool   `json:"masked"`
	} `json:"variables"`
	Steps []struct {
		Name   string   `json:"name"`
		Script []string `json:"script"`
	} `json:"steps"`
	Image    replay.Image   `json:"image"`
	Services []replay.Image `json:"services"`
}

// work plays the next job, if there is one, and reports how it ended.
func (s section) work(ctx context.Context) error {
	var next response
	request := map[string]any{"token": s.token, "info": map[string]any{"features": map[string]any{"cancelable": true}}}
	_, status, err := s.send(ctx, http.MethodPost, "/api/v4/jobs/request", request, &next)
	switch {
	case err != nil:
		return err
	case status == http.StatusNoContent:
		return nil
	case status != http.StatusCreated:
		return fmt.Errorf("asking for a job: HTTP %d", status)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &trace{section: s, job: next, cancel: cancel}
	result := replay.Run(ctx, s.options(next, t))
	if err := t.flush(); err != nil {
		return err
	}
	update := map[string]any{"token": next.Token, "state": "success"}
	var build *replay.BuildError
	if errors.As(result.Err, &build) {
		update["exit_code"] = build.ExitCode
	}
	if result.Err != nil {
		update["state"], update["failure_reason"] = "failed", "runner_system_failure"
		if build != nil {
			update["failure_reason"] = "script_failure"
		}
	}
	_, _, err = s.send(context.WithoutCancel(ctx), http.MethodPut, fmt.Sprintf("/api/v4/jobs/%d", next.ID), update, nil)
	return err
}

func (s section) options(next response, log io.Writer) replay.Options {
	opts := replay.DefaultOptions()
	opts.BinDir, opts.Log, opts.GracefulKillTimeout = s.binDir, log, s.gracefulKill
	opts.JobID, opts.ProjectID = next.ID, next.JobInfo.ProjectID
	opts.Timeout = time.Duration(next.RunnerInfo.Timeout) * time.Second
	opts.Job = replay.Job{Name: next.JobInfo.Name, Image: next.Image, Services: next.Services, Variables: map[string]string{}}
	for _, v := range next.Variables {
		if !v.Masked {
			opts.Job.Variables[v.Key] = v.Value
		}
	}
	for _, step := range next.Steps {
		if step.Name == "after_script" {
			opts.Job.AfterScript = step.Script
			continue
		}
		opts.Job.Script = append(opts.Job.Script, step.Script...)
	}
	return opts
}

// send sends JSON and reads JSON.
func (s section) send(ctx context.Context, method, path string, body, into any) (http.Header, int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if into != nil && response.StatusCode == http.StatusCreated {
		err = json.NewDecoder(response.Body).Decode(into)
	}
	return response.Header, response.StatusCode, err
}
