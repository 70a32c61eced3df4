// Package dockerops is all that talks to the Docker Engine; nothing else
// imports its SDK. It does what a plan describes and judges what goes wrong.
package dockerops

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/private"
)

// Engine is a connection to a Docker Engine. Its methods may be called at once.
type Engine struct {
	// Private is where images that came with credentials of a job are remembered.
	Private PrivateRepositories

	api client.APIClient
	log logrus.FieldLogger

	// progressEvery is the time between two lines about a pull.
	progressEvery time.Duration
	// retryAfter is the pause before the second try of a pull; it doubles.
	retryAfter time.Duration
	// stopGrace is how long a cancelled script may take to end by itself.
	stopGrace time.Duration
}

// Connect returns the engine that DOCKER_HOST (with DOCKER_TLS_VERIFY and
// DOCKER_CERT_PATH) names, the local one by default. It does not call the
// engine yet: the API version is negotiated with the first request.
func Connect(log logrus.FieldLogger) (*Engine, error) {
	if host := os.Getenv(client.EnvOverrideHost); strings.HasPrefix(host, "ssh://") {
		return nil, failure.System(fmt.Errorf("connecting to Docker (DOCKER_HOST=%q): ssh is not supported", host),
			"use a socket or tcp:// with DOCKER_TLS_VERIFY, or forward the socket: ssh -L /run/engine.sock:/var/run/docker.sock HOST")
	}
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, failure.System(fmt.Errorf("connecting to Docker (DOCKER_HOST=%q): %w", os.Getenv(client.EnvOverrideHost), err),
			"check DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH of the gitlab-runner process")
	}
	return &Engine{
		Private:       private.In(""),
		api:           api,
		log:           log,
		progressEvery: 5 * time.Second,
		retryAfter:    time.Second,
		stopGrace:     10 * time.Second,
	}, nil
}

// Close gives the connections back.
func (e *Engine) Close() error { return e.api.Close() }

// judge adds a verdict to an error of the engine when its kind alone tells
// whose fault it is.
func (e *Engine) judge(err error) error {
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err):
		return failure.System(err, fmt.Sprintf(
			"start Docker on %s or set DOCKER_HOST; the user of gitlab-runner needs access to the socket (group docker)",
			e.api.DaemonHost()))
	case noSpace(err):
		return failure.System(err, "make room on the engine's disk: docker system df, docker system prune")
	case errdefs.IsInvalidArgument(err):
		return failure.Build(err, "mend what the job asks for")
	default:
		return err
	}
}
