package plan

import (
	"strconv"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/gitlab"
)

func jobLabels(job gitlab.Job, key string) map[string]string {
	return map[string]string{
		LabelJob:                     key,
		LabelTimeout:                 strconv.Itoa(int(job.Timeout.Seconds())),
		LabelOwner:                   job.Owner,
		labelPrefix + "job.id":       strconv.FormatInt(job.ID, 10),
		labelPrefix + "project.id":   strconv.FormatInt(job.ProjectID, 10),
		labelPrefix + "project.path": job.ProjectPath,
		labelPrefix + "pipeline.id":  strconv.FormatInt(job.PipelineID, 10),
		labelPrefix + "runner":       job.Runner,
	}
}

// withLabels adds the operator's labels; they cannot replace the driver's own.
func withLabels(labels, more map[string]string) map[string]string {
	all := make(map[string]string, len(labels)+len(more))
	for k, v := range more {
		all[k] = v
	}
	for k, v := range labels {
		all[k] = v
	}
	return all
}

// slot names what the jobs of a runner, project and slot share.
func slot(job gitlab.Job) string {
	slot := hash(job.Server, job.Runner, strconv.FormatInt(job.ProjectID, 10), strconv.Itoa(job.Slot))
	if job.Protected {
		slot += "-protected"
	}
	return slot
}

// sharedLabels are those of what outlives a job.
func sharedLabels(job gitlab.Job) map[string]string {
	return map[string]string{
		labelPrefix + "project.id":   strconv.FormatInt(job.ProjectID, 10),
		labelPrefix + "project.path": job.ProjectPath,
		labelPrefix + "runner":       job.Runner,
		labelPrefix + "protected":    strconv.FormatBool(job.Protected),
	}
}

// mounts returns the volumes of a job. Jobs of the same runner, project and
// slot share them one after the other; protected refs have their own, because
// an unprotected job could plant something for them.
func mounts(job gitlab.Job, jobName string, jobLabels map[string]string) []Mount {
	slot := slot(job)
	shared := sharedLabels(job)
	builds := Mount{Volume: "gitlab-builds-" + slot, Target: BuildsDir, Labels: shared}
	if !job.KeepSources {
		builds = Mount{Volume: jobName + "-builds", Target: BuildsDir, Labels: jobLabels}
	}
	return []Mount{builds, {Volume: "gitlab-cache-" + slot, Target: CacheDir, Labels: shared}}
}
