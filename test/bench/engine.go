package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// proxy stands between the driver and the engine's local socket and counts the
// requests.
type proxy struct {
	socket string
	count  atomic.Int64
	server *http.Server
	dir    string
}

func startProxy() (*proxy, error) {
	engine := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if engine == "" {
		engine = "/var/run/docker.sock"
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	p := &proxy{socket: filepath.Join(dir, "docker.sock"), dir: dir}
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		return nil, fmt.Errorf("standing in for the engine: %w", err)
	}
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	reverse.FlushInterval = -1 // a wait answers with headers first
	reverse.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engine)
	}}
	p.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count.Add(1)
		reverse.ServeHTTP(w, r)
	})}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

// reset returns the number of requests since the last reset.
func (p *proxy) reset() int { return int(p.count.Swap(0)) }

func (p *proxy) close() {
	_ = p.server.Close()
	_ = os.RemoveAll(p.dir)
}

// engineCPU returns the CPU time that dockerd, containerd and their ended
// children have used (proc_pid_stat(5): utime, stime, cutime, cstime).
func engineCPU() (total time.Duration) {
	const tick = 10 * time.Millisecond // 1/USER_HZ
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), "(")
		name, rest, _ := strings.Cut(rest, ") ")
		fields := strings.Fields(rest)
		if (name != "dockerd" && name != "containerd") || len(fields) < 15 {
			continue
		}
		for _, field := range fields[11:15] {
			ticks, _ := strconv.Atoi(field)
			total += time.Duration(ticks) * tick
		}
	}
	return total
}
