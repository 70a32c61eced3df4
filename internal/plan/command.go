package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// daemonArguments reports whether a service's command is for dockerd, so that
// more flags may be added.
func daemonArguments(command []string) bool {
	first := command[0]
	return strings.HasPrefix(first, "-") || path.Base(first) == "dockerd" || path.Base(first) == "dockerd-entrypoint.sh"
}

// For returns the container of a daemon as it is to be created from image: it
// runs the image's own entrypoint, with the daemon's flags and the wrapper.
func (s Service) For(image LocalImage) (Container, error) {
	c := s.Container
	wrapper := slices.Clone(c.Security.Wrapper)
	if s.Daemon.Security == settings.DindRootless {
		user := cmp.Or(c.User, image.User)
		if name, _, _ := strings.Cut(user, ":"); name == "" || name == "root" || name == "0" {
			return c, failure.Build(fmt.Errorf("the user of the rootless sidecar %s is root", s.Image.Familiar()),
				"use an image whose daemon runs without root, such as docker:dind-rootless")
		}
		// The wrapper changes to the user.
		wrapper, c.User = append(wrapper, user), "0"
	}
	entrypoint, command := ownCommand(c, image)
	words := slices.Concat(entrypoint, command)
	if s.Daemon.Socket != "" || len(words) == 0 {
		words = daemonCommand(entrypoint, command, s.Daemon.Flags)
	}
	c.Entrypoint = append(wrapper, words[:1]...)
	c.Command = words[1:]
	return c, nil
}

// ownCommand is what a container runs, by the job's choice or the image's.
func ownCommand(c Container, image LocalImage) (entrypoint, command []string) {
	entrypoint, command = c.Entrypoint, c.Command
	if entrypoint == nil {
		entrypoint = image.Entrypoint
		if command == nil {
			command = image.Command
		}
	}
	// GitLab CI writes "no entrypoint" as [""].
	return slices.DeleteFunc(slices.Clone(entrypoint), func(word string) bool { return word == "" }), command
}

// daemonCommand adds flags to the command of a sidecar, in the way that the
// image's own entrypoint still does its part. Told `dockerd`, that of
// docker:dind neither makes certificates nor opens a port.
func daemonCommand(entrypoint, command, flags []string) []string {
	words := slices.Concat(entrypoint, command)
	at := slices.IndexFunc(words, func(word string) bool { return path.Base(word) == "dockerd" })
	if at < 0 {
		at = len(entrypoint)
		if len(command) > 0 && !strings.HasPrefix(command[0], "-") {
			at++ // behind the entrypoint that the command names
		}
		words = slices.Insert(words, at, "dockerd")
	}
	more := slices.DeleteFunc(slices.Clone(flags), func(flag string) bool { return slices.Contains(words, flag) })
	return slices.Insert(words, at+1, more...)
}
