package stages

import (
	"bytes"
	"context"
	"time"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/registryauth"
)

// FileEngine is what the job's Docker config needs of the engine.
type FileEngine interface {
	// PutFiles writes files, by absolute path, with their folders.
	PutFiles(ctx context.Context, c plan.Container, files map[string][]byte) error
	// ReadFile returns nil for a file that is not there.
	ReadFile(ctx context.Context, c plan.Container, name string) ([]byte, error)
	// ReplaceFiles lets readers see the old files or the new, never half of one.
	ReplaceFiles(ctx context.Context, c plan.Container, files map[string][]byte) error
}

// pluginDirs are where images keep docker's plugins that docker would look for
// in its default config folder.
var pluginDirs = []string{"/root/.docker/cli-plugins"}

// writeConfig writes the job's Docker config, in prepare.
func (s Stage) writeConfig(ctx context.Context, engine FileEngine, p plan.Plan, c credentials) error {
	config, record, err := registryauth.Inject(nil, nil, c.entries, pluginDirs)
	if err != nil {
		return err
	}
	for host, cred := range c.entries {
		s.Log.Infof("Docker in the script is logged in to %s with credentials from %s", host, cred.Source)
	}
	return engine.PutFiles(ctx, p.Helper, map[string][]byte{p.Client.ConfigFile(): config, p.Client.RecordFile(): record})
}

// keepConfigFresh renews what the driver wrote into the job's Docker config,
// until ctx ends. It leaves alone what the job logged in to by itself. It never
// fails a job: the script may not need a registry any more.
func (s Stage) keepConfigFresh(ctx context.Context, engine FileEngine, job gitlab.Job, p plan.Plan) {
	complain := s.Log.Debugf // prepare has said it
	access := s.access(job, complain)
	for {
		found := s.credentials(ctx, access, *p.Client, complain)
		complain = s.Log.Warnf
		if err := s.renewConfig(ctx, engine, p, found); err != nil && ctx.Err() == nil {
			s.Log.Warnf("Renewing the registry credentials of the job: %v", err)
			found.renewBy(time.Now().Add(retryRenewal))
		}
		if found.renew.IsZero() {
			return
		}
		wait := time.Until(found.renew)
		if wait <= 0 { // they are due, and could not be renewed just now
			wait = retryRenewal
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (s Stage) renewConfig(ctx context.Context, engine FileEngine, p plan.Plan, c credentials) error {
	record, err := engine.ReadFile(ctx, p.Helper, p.Client.RecordFile())
	if err != nil {
		return err
	}
	current, err := engine.ReadFile(ctx, p.Helper, p.Client.ConfigFile())
	if err != nil {
		return err
	}
	config, newRecord, err := registryauth.Inject(current, record, c.entries, pluginDirs)
	if err != nil || bytes.Equal(config, current) {
		return err
	}
	return engine.ReplaceFiles(ctx, p.Helper, map[string][]byte{p.Client.ConfigFile(): config, p.Client.RecordFile(): newRecord})
}
