package stages

import (
	"bytes"
	"io"
	"sync"
)

// refusals are what ECR, and Docker about it, say to a client without the right
// credentials, and what the script's author may do about it.
var refusals = []struct{ text, hint string }{
	{
		"no basic auth credentials",
		"a registry was asked without credentials: name it in a variable of the job, or let the operator add it to ECR_EXECUTOR_REGISTRIES; " +
			"DOCKER_CONFIG must not be set by the job",
	},
	{
		"authorization token has expired",
		"an ECR token has expired: keep the Docker config that the job has (DOCKER_CONFIG) instead of a copy, it is renewed while the script runs",
	},
	{
		"is not authorized to perform: ecr:",
		"the role of this runner may not do that in ECR: the message names the action and the repository to allow",
	},
}

// unreachable is what Docker says when its daemon does not answer.
const unreachable = "Cannot connect to the Docker daemon"

// clientWatch looks in what scripts print for what Docker's clients complain of.
type clientWatch struct {
	mu         sync.Mutex
	hint       string
	daemonLost bool
}

// through returns a writer that passes everything on to out and watches it.
func (w *clientWatch) through(out io.Writer) io.Writer { return &watchedWriter{watch: w, out: out} }

// Hint returns what to tell the author, "" when there was no refusal.
func (w *clientWatch) Hint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hint
}

// DaemonLost reports whether a client did not reach its daemon.
func (w *clientWatch) DaemonLost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.daemonLost
}

func (w *clientWatch) look(text []byte) {
	if bytes.Contains(text, []byte(unreachable)) {
		w.mu.Lock()
		w.daemonLost = true
		w.mu.Unlock()
	}
	for _, refusal := range refusals {
		if bytes.Contains(text, []byte(refusal.text)) {
			w.mu.Lock()
			w.hint = refusal.hint
			w.mu.Unlock()
		}
	}
}

type watchedWriter struct {
	watch *clientWatch
	out   io.Writer
	tail  []byte // a refusal may come in two writes
}

const longestRefusal = 64

// Write implements io.Writer.
func (w *watchedWriter) Write(p []byte) (int, error) {
	head := p[:min(len(p), longestRefusal)]
	w.watch.look(append(w.tail, head...))
	w.watch.look(p)
	w.tail = append(w.tail, p[max(0, len(p)-longestRefusal):]...)
	w.tail = bytes.Clone(w.tail[max(0, len(w.tail)-longestRefusal):])
	return w.out.Write(p)
}
