package ecrtest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// requireToken answers as Amazon's registry does: 401 without a token, 403 with
// one that has expired.
func (s *Server) requireToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, secret, _ := r.BasicAuth()
		var fault *Fault
		var known, live, denied bool
		s.locked(func() {
			token, ok := s.tokens[secret]
			known, live = ok, ok && time.Now().Before(token.expires)
			for repository := range s.denied {
				denied = denied || strings.HasPrefix(r.URL.Path, "/v2/"+repository+"/")
			}
			for repository, role := range s.only {
				denied = denied || !token.push && token.role != role && strings.HasPrefix(r.URL.Path, "/v2/"+repository+"/")
			}
			if live && strings.Contains(r.URL.Path, "/manifests/") {
				fault = s.fault
			}
		})
		switch {
		case !known:
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Basic realm="http://%s/",service="ecr.amazonaws.com"`, r.Host))
			registryError(w, http.StatusUnauthorized, "UNAUTHORIZED", "Not Authorized")
		case !live:
			registryError(w, http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
		case denied:
			registryError(w, http.StatusForbidden, "DENIED", "User is not authorized to perform: ecr:BatchGetImage on resource")
		case fault != nil && fault.Status == 0:
			panic(http.ErrAbortHandler) // drops the connection
		case fault != nil:
			registryError(w, fault.Status, fault.Code, fault.Message)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func registryError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

// Push puts an image into the registry and returns its reference.
func (s *Server) Push(ctx context.Context, repository, tag string, image v1.Image) (string, error) {
	ref, err := name.NewTag(s.Host() + "/" + repository + ":" + tag)
	if err != nil {
		return "", fmt.Errorf("naming image %s: %w", repository, err)
	}
	secret := s.Token()
	s.locked(func() {
		own := s.tokens[secret]
		own.push = true
		s.tokens[secret] = own
	})
	auth := remote.WithAuth(&authn.Basic{Username: "AWS", Password: secret})
	if err := remote.Write(ref, image, auth, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("pushing %s: %w", ref, err)
	}
	return ref.String(), nil
}

// Copy gives an image that was pushed as repository:v1 another repository too.
func (s *Server) Copy(ctx context.Context, from, to string) error {
	source, err := name.NewTag(s.Host() + "/" + from + ":v1")
	if err != nil {
		return fmt.Errorf("naming image %s: %w", from, err)
	}
	auth := remote.WithAuth(&authn.Basic{Username: "AWS", Password: s.Token()})
	image, err := remote.Image(source, auth, remote.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reading %s: %w", source, err)
	}
	_, err = s.Push(ctx, to, "v1", image)
	return err
}

// File is a file of an image.
type File struct {
	Path    string // without a leading slash
	Content []byte
	Link    string // target, for a symbolic link
	Mode    int64  // 0644 when 0
	Dir     bool
	UID     int
}

// Image composes an image of one layer.
func Image(config v1.Config, files ...File) (v1.Image, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, file := range files {
		header := &tar.Header{Name: file.Path, Mode: file.Mode, Size: int64(len(file.Content)), Linkname: file.Link, Uid: file.UID, Gid: file.UID}
		switch {
		case file.Link != "":
			header.Typeflag = tar.TypeSymlink
		case file.Dir:
			header.Typeflag = tar.TypeDir
		default:
			header.Typeflag = tar.TypeReg
		}
		if header.Mode == 0 {
			header.Mode = 0o644
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("adding %s: %w", file.Path, err)
		}
		if _, err := archive.Write(file.Content); err != nil {
			return nil, fmt.Errorf("adding %s: %w", file.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("composing an image: %w", err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("composing an image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, fmt.Errorf("composing an image: %w", err)
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch(), Config: config, RootFS: rootFS(image), Created: v1.Time{Time: time.Unix(0, 0)},
	})
}
