package owner

import (
	"fmt"
	"os"
)

// Self names this process in the way of Runner, "" when /proc does not tell:
// what it leaves when it is killed, the next job removes.
func Self() string {
	here, err := namespace()
	if err != nil {
		return ""
	}
	p, err := read(os.Getpid())
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s/%d/%s", here, os.Getpid(), p.started)
}
