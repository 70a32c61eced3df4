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

// refusalWatch looks for refusals of a registry in what scripts print.
type refusalWatch struct {
	mu   sync.Mutex
	hint string
}

// through returns a writer that passes everything on to out and watches it.
func (w *refusalWatch) through(out io.Writer) io.Writer { return &watchedWriter{watch: w, out: out} }

// Hint returns what to tell the author, "" when there was no refusal.
func (w *refusalWatch) Hint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hint
}

func (w *refusalWatch) look(text []byte) {
	for _, refusal := range refusals {
		if bytes.Contains(text, []byte(refusal.text)) {
			w.mu.Lock()
			w.hint = refusal.hint
			w.mu.Unlock()
		}
	}
}

type watchedWriter struct {
	watch *refusalWatch
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
