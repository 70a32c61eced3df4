package driver

import (
	"fmt"
	"io"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// stageLog writes for the reader of a job log: plain lines, warnings and errors
// marked as GitLab Runner marks its own.
type stageLog struct{ *logrus.Logger }

func newLog(stdout, stderr io.Writer, quiet bool) *stageLog {
	log := logrus.New()
	log.SetFormatter(jobLogFormatter{})
	log.SetOutput(stderr)
	if quiet {
		log.SetOutput(io.Discard)
		log.AddHook(splitHook{stdout: stdout, stderr: stderr})
	}
	return &stageLog{log}
}

func (l *stageLog) configure(s settings.Settings) {
	l.SetLevel(logrus.Level(s.LogLevel))
	if s.LogFormat == "json" {
		l.SetFormatter(&logrus.JSONFormatter{})
	}
}

// The colours of GitLab Runner's log.
const (
	yellow  = "\x1b[0;33m"
	boldRed = "\x1b[31;1m"
	reset   = "\x1b[0;m"
)

type jobLogFormatter struct{}

// Format implements logrus.Formatter.
func (jobLogFormatter) Format(entry *logrus.Entry) ([]byte, error) {
	message := strings.TrimRight(entry.Message, "\n")
	switch {
	case entry.Level <= logrus.ErrorLevel:
		message = boldRed + "ERROR: " + message + reset
	case entry.Level == logrus.WarnLevel:
		message = yellow + "WARNING: " + message + reset
	case entry.Level >= logrus.DebugLevel:
		message = "debug: " + message
	}
	return fmt.Appendln(nil, message), nil
}

// splitHook writes warnings and errors to stderr, the rest to stdout.
type splitHook struct{ stdout, stderr io.Writer }

// Levels implements logrus.Hook.
func (splitHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h splitHook) Fire(entry *logrus.Entry) error {
	line, err := entry.Bytes()
	if err != nil {
		return err
	}
	out := h.stdout
	if entry.Level <= logrus.WarnLevel {
		out = h.stderr
	}
	_, err = out.Write(line)
	return err
}
