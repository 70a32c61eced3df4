package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// trace sends a job's log, and learns on the way that the job is cancelled.
type trace struct {
	section
	job    response
	cancel context.CancelFunc

	mu     sync.Mutex
	held   []byte
	offset int
	timer  *time.Timer
	ended  bool
}

// Write implements io.Writer.
func (t *trace) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = append(t.held, data...)
	if t.timer == nil {
		t.timer = time.AfterFunc(0, t.tick)
	}
	return len(data), nil
}

// tick goes on for as long as the job: a silent one may be cancelled, too.
func (t *trace) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	_ = t.patch() // the next one sends what this could not
	t.timer.Reset(200 * time.Millisecond)
}

func (t *trace) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	return t.patch()
}

func (t *trace) patch() error {
	path := fmt.Sprintf("%s/api/v4/jobs/%d", t.url, t.job.ID)
	if len(t.held) == 0 {
		header, _, err := t.send(context.Background(), http.MethodPut, fmt.Sprintf("/api/v4/jobs/%d", t.job.ID), map[string]any{"token": t.job.Token, "state": "running"}, nil)
		t.heed(header)
		return err
	}
	request, err := http.NewRequest(http.MethodPatch, path+"/trace", bytes.NewReader(t.held))
	if err != nil {
		return err
	}
	request.Header.Set("JOB-TOKEN", t.job.Token)
	request.Header.Set("Content-Range", strconv.Itoa(t.offset)+"-"+strconv.Itoa(t.offset+len(t.held)-1))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("sending the log: HTTP %d", response.StatusCode)
	}
	t.offset, t.held = t.offset+len(t.held), nil
	t.heed(response.Header)
	return nil
}

func (t *trace) heed(header http.Header) {
	switch header.Get("Job-Status") {
	case "canceling", "canceled":
		t.cancel()
	}
}
