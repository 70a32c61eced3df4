package ecrauth

import (
	"os"
	"time"
)

// patience is how long AWS is left alone after a failure, while there is a valid
// token.
const patience = time.Minute

const failedSuffix = ".failed"

// noteFailure remembers that there was no new token to be had.
func (c cache) noteFailure(now time.Time) {
	if c.path == "" {
		return
	}
	err := os.WriteFile(c.path+failedSuffix, nil, 0o600)
	if err == nil {
		err = os.Chtimes(c.path+failedSuffix, now, now)
	}
	if err != nil {
		c.warn("Noting that there was no ECR token: %v", err)
	}
}

// failedLately reports whether there was no new token a moment ago.
func (c cache) failedLately(now time.Time) bool {
	if c.path == "" {
		return false
	}
	info, err := os.Stat(c.path + failedSuffix)
	return err == nil && now.Sub(info.ModTime()) < patience && !info.ModTime().After(now)
}
