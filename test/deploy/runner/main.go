// Command runner stands in for `gitlab-runner run` in an image that cannot be
// pulled here: it reads config.toml, asks the coordinator for jobs and calls the
// driver's binaries, one job at a time.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const configFile = "/etc/gitlab-runner/config.toml"

// section is a [[runners]] of config.toml.
type section struct {
	url, token, binDir string
	gracefulKill       time.Duration
}

var setting = regexp.MustCompile(`(?m)^\s*(\w+) = "?([^"\n]*)"?$`)

// readConfig reads what this program needs; nothing while there is no file.
func readConfig() (sections []section) {
	data, err := os.ReadFile(configFile)
	if err != nil {
		return nil
	}
	_, runners, _ := strings.Cut(string(data), "[[runners]]")
	for text := range strings.SplitSeq(runners, "[[runners]]") {
		values := map[string]string{}
		for _, match := range setting.FindAllStringSubmatch(text, -1) {
			values[match[1]] = match[2]
		}
		if values["executor"] != "custom" || values["token"] == "" {
			log.Printf("a section [[runners]] of %s is not for this driver", configFile)
			continue
		}
		grace, _ := strconv.Atoi(values["graceful_kill_timeout"])
		sections = append(sections, section{
			strings.TrimSuffix(values["url"], "/"), values["token"], filepath.Dir(values["config_exec"]), time.Duration(grace) * time.Second,
		})
	}
	return sections
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "run" {
		log.Fatal("stands in for gitlab-runner run, nothing else")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGQUIT, syscall.SIGTERM, os.Interrupt)
	defer stop()
	for ctx.Err() == nil {
		for _, s := range readConfig() {
			if err := s.work(ctx); err != nil {
				log.Printf("%s: %v", s.url, err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
