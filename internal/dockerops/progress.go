package dockerops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/go-units"
	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

// progress follows one pull. A job log cannot be redrawn, so it writes a line
// every few seconds instead of moving bars.
type progress struct {
	image plan.Image
	log   logrus.FieldLogger
	start time.Time
	every time.Duration

	last   time.Time
	layers map[string]*layer
	pulled int // layers that were not here before
	status string
}

// layer is what is known of one layer, in bytes.
type layer struct {
	done, total int64
	extracting  bool
}

func newProgress(image plan.Image, log logrus.FieldLogger, start time.Time, every time.Duration) *progress {
	return &progress{image: image, log: log, start: start, every: every, last: start, layers: map[string]*layer{}}
}

// pullError is what the engine says of a pull that failed after it began: a
// text without a code.
type pullError struct{ message string }

func (e *pullError) Error() string { return e.message }

// follow reads the engine's messages to the end. It returns *pullError for a
// pull that failed.
func (p *progress) follow(ctx context.Context, stream io.Reader) error {
	decoder := json.NewDecoder(stream)
	for {
		var message jsonmessage.JSONMessage
		err := decoder.Decode(&message)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the engine's progress: %w", err)
		}
		if message.Error != nil {
			return &pullError{message.Error.Message}
		}
		p.update(message)
		if now := time.Now(); now.Sub(p.last) >= p.every {
			p.last = now
			p.report(now)
		}
	}
}

func (p *progress) update(message jsonmessage.JSONMessage) {
	if strings.HasPrefix(message.Status, "Status: ") || strings.HasPrefix(message.Status, "Digest: ") {
		p.status = message.Status
		return
	}
	if message.ID == "" {
		return
	}
	switch message.Status {
	case "Downloading":
		if message.Progress == nil || message.Progress.Total <= 0 {
			return
		}
		l := p.layer(message.ID)
		l.done, l.total = message.Progress.Current, message.Progress.Total
	case "Verifying Checksum", "Download complete":
		if l, ok := p.layers[message.ID]; ok {
			l.done = l.total
		}
	case "Extracting":
		l := p.layer(message.ID)
		l.done, l.extracting = l.total, true
	case "Pull complete":
		p.pulled++
		l := p.layer(message.ID)
		l.done, l.extracting = l.total, false
	}
}

func (p *progress) layer(id string) *layer {
	l, ok := p.layers[id]
	if !ok {
		l = &layer{}
		p.layers[id] = l
	}
	return l
}

// bytes sums up the layers whose size is known.
func (p *progress) bytes() (done, total int64, extracting int) {
	for _, l := range p.layers {
		done += l.done
		total += l.total
		if l.extracting {
			extracting++
		}
	}
	return done, total, extracting
}

func (p *progress) report(now time.Time) {
	done, total, extracting := p.bytes()
	switch {
	case total == 0:
		p.log.Infof("  %s image: waiting for the registry, %s", p.image.Role, elapsed(now.Sub(p.start)))
	case done < total:
		p.log.Infof("  %s image: %s of %s (%d%%), %s", p.image.Role,
			units.HumanSize(float64(done)), units.HumanSize(float64(total)), done*100/total, rate(done, now.Sub(p.start)))
	default:
		p.log.Infof("  %s image: %s downloaded, extracting %d layers", p.image.Role, units.HumanSize(float64(total)), extracting)
	}
}

// summarize writes the last line about the pull.
func (p *progress) summarize(now time.Time) {
	took := now.Sub(p.start)
	if _, total, _ := p.bytes(); total > 0 {
		p.log.Infof("Pulled %s image: %s in %s, %s", p.image.Role, units.HumanSize(float64(total)), elapsed(took), rate(total, took))
		return
	}
	if p.pulled > 0 { // small layers come without a size
		p.log.Infof("Pulled %s image: %d layers in %s", p.image.Role, p.pulled, elapsed(took))
		return
	}
	if strings.Contains(p.status, "up to date") {
		p.log.Infof("The %s image is up to date (checked in %s)", p.image.Role, elapsed(took))
		return
	}
	p.log.Infof("Pulled %s image in %s: all layers were here", p.image.Role, elapsed(took))
}

func rate(bytes int64, took time.Duration) string {
	return units.HumanSize(float64(bytes)/max(took.Seconds(), 0.001)) + "/s"
}

func elapsed(d time.Duration) string {
	return fmt.Sprintf("%.1fs", d.Seconds())
}
