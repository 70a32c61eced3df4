// Command doctor checks that a runner's host can run jobs, and says what to do
// where it cannot.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/cmd/internal/access"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/dockerops"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/doctor"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := doctor.Main(ctx, os.Args[1:], os.Stdout, os.Stderr, connect)
	stop()
	os.Exit(code)
}

func connect(s settings.Settings) (doctor.Host, error) {
	log := logrus.New()
	log.SetOutput(io.Discard) // what matters is in the results
	// Without a state folder: tokens that are kept would hide that there are no
	// new ones.
	opts := ecrauth.Options{Hosts: s.EcrHosts}
	if s.WebIdentityVariable == "" { // else only a job can take a role
		opts.Roles = access.Roles(s)
	}
	host := doctor.Host{
		Registries: ecrauth.New(opts),
		Logins:     registryauth.NewHostConfig(registryauth.DefaultHostConfig(), log.Warnf),
	}
	engine, err := dockerops.Connect(log)
	if err == nil {
		host.Engine = engine
	}
	return host, err
}
