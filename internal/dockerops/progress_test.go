package dockerops

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/plan"
)

func followed(t *testing.T, stream string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true, DisableQuote: true})
	start := time.Now()
	p := newProgress(plan.Image{Role: "job"}, log, start, 0) // a line for each message
	err := p.follow(t.Context(), strings.NewReader(stream))
	if err == nil {
		p.summarize(start.Add(2 * time.Second))
	}
	return out.String(), err
}

func TestProgress(t *testing.T) {
	out, err := followed(t, `
{"status":"Pulling from app","id":"v1"}
{"status":"Already exists","id":"base"}
{"status":"Downloading","progressDetail":{"current":10000000,"total":40000000},"id":"a"}
{"status":"Downloading","progressDetail":{"current":5000000,"total":20000000},"id":"b"}
{"status":"Download complete","id":"b"}
{"status":"Extracting","progressDetail":{"current":1,"total":2},"id":"a"}
{"status":"Pull complete","id":"a"}
{"status":"Status: Downloaded newer image for app:v1"}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"waiting for the registry", "10MB of 40MB (25%)", "15MB of 60MB (25%)", "30MB of 60MB (50%)",
		"60MB downloaded, extracting 1 layers", "Pulled job image: 60MB in 2.0s, 30MB/s",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the log lacks %q:\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\r\x1b") {
		t.Errorf("the log redraws: %q", out)
	}
}

func TestProgressWithoutDownload(t *testing.T) {
	out, err := followed(t, `{"status":"Status: Image is up to date for app:v1"}`)
	if err != nil || !strings.Contains(out, "job image is up to date (checked in 2.0s)") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestProgressOfSmallLayers(t *testing.T) {
	out, err := followed(t, `{"status":"Pull complete","id":"a"}{"status":"Status: Downloaded newer image for app:v1"}`)
	if err != nil || !strings.Contains(out, "Pulled job image: 1 layers in 2.0s") {
		t.Errorf("%q, %v", out, err)
	}
	out, err = followed(t, `{"status":"Already exists","id":"a"}{"status":"Status: Downloaded newer image for app:v1"}`)
	if err != nil || !strings.Contains(out, "all layers were here") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestProgressEnds(t *testing.T) {
	var failed *pullError
	if _, err := followed(t, `{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}`); !errors.As(err, &failed) {
		t.Errorf("error = %v, want what the engine says", err)
	}
	if _, err := followed(t, `{"status":`); err == nil {
		t.Error("a stream that breaks is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := newProgress(plan.Image{}, logrus.New(), time.Now(), time.Hour)
	if err := p.follow(ctx, strings.NewReader(`{"status":"x"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want cancelled", err)
	}
}
