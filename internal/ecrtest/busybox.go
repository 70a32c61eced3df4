package ecrtest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func arch() string { return runtime.GOARCH }

// rootFS copies the list of layers: a config file of our own must name them.
func rootFS(image v1.Image) v1.RootFS {
	config, err := image.ConfigFile()
	if err != nil {
		return v1.RootFS{Type: "layers"}
	}
	return config.RootFS
}

// Busybox returns the files of a small system around the host's statically
// linked busybox (Debian: busybox-static), with a user app (1000) beside root.
func Busybox() ([]File, error) {
	const path = "/bin/busybox"
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading busybox (apt-get install busybox-static): %w", err)
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing busybox's applets: %w", err)
	}
	files := []File{
		{Path: "bin", Dir: true, Mode: 0o755},
		{Path: "etc", Dir: true, Mode: 0o755},
		{Path: "tmp", Dir: true, Mode: 0o1777},
		{Path: "root", Dir: true, Mode: 0o700},
		{Path: "home/app", Dir: true, Mode: 0o755, UID: 1000},
		{Path: "bin/busybox", Content: binary, Mode: 0o755},
		{Path: "etc/passwd", Content: []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")},
		{Path: "etc/group", Content: []byte("root:x:0:\napp:x:1000:\n")},
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			files = append(files, File{Path: "bin/" + applet, Link: "busybox"})
		}
	}
	return files, nil
}
