// Package ecrtest is an Amazon ECR on loopback: the APIs that give out tokens
// (ECR, ECR Public), the STS that gives out roles, and a registry that insists
// on tokens. Tests and the demo use it where no AWS account is at hand.
package ecrtest

import (
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// The one principal that the APIs know from the start.
const (
	Principal   = "arn:aws:iam::111122223333:user/runner"
	Region      = "eu-west-1"
	AccessKeyID = "AKIAIOSFODNN7EXAMPLE"
	SecretKey   = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" // from the AWS documentation
)

// Server is a running ECR. Its methods may be called at once with requests.
type Server struct {
	api      *httptest.Server
	registry *httptest.Server
	more     []*httptest.Server // the same registry at other addresses

	signingKey []byte // of id tokens

	mu       sync.Mutex
	lifetime time.Duration
	keys     map[string]principal // by access key id
	tokens   map[string]issued
	trust    map[string]Trust // by role
	sessions []Session

	calls, publicCalls, stsCalls    int
	apiFault, publicFault, stsFault *Fault

	fault  *Fault // of the registry's manifests
	denied map[string]bool
	only   map[string]string // repository to role
}

// Fault is an answer to give instead of the right one.
type Fault struct {
	Status  int    // HTTP status; 0 drops the connection
	Code    string // error code in the body
	Message string
}

// Start starts a server whose tokens live 12 hours, as Amazon's do.
func Start() *Server {
	s := &Server{
		lifetime: 12 * time.Hour, signingKey: []byte(rand.Text()),
		keys:   map[string]principal{AccessKeyID: {arn: Principal}},
		tokens: map[string]issued{}, trust: map[string]Trust{}, denied: map[string]bool{}, only: map[string]string{},
	}
	blobs := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.api = httptest.NewUnstartedServer(http.HandlerFunc(s.serveAPI))
	s.registry = httptest.NewUnstartedServer(s.requireToken(blobs))
	// Each handler names the other server's address.
	s.registry.Start()
	s.api.Start()
	return s
}

// Close stops the server; images in it are gone.
func (s *Server) Close() {
	s.api.Close()
	s.registry.Close()
	for _, server := range s.more {
		server.Close()
	}
}

// SetLifetime sets how long tokens live that are issued from now on.
func (s *Server) SetLifetime(d time.Duration) { s.locked(func() { s.lifetime = d }) }

// FailAPI makes the ECR API answer with f; nil ends that.
func (s *Server) FailAPI(f *Fault) { s.locked(func() { s.apiFault = f }) }

// FailPublicAPI makes the API of ECR Public answer with f; nil ends that.
func (s *Server) FailPublicAPI(f *Fault) { s.locked(func() { s.publicFault = f }) }

// FailSTS makes STS answer with f; nil ends that.
func (s *Server) FailSTS(f *Fault) { s.locked(func() { s.stsFault = f }) }

// FailManifests makes the registry answer requests for manifests with f; nil
// ends that.
func (s *Server) FailManifests(f *Fault) { s.locked(func() { s.fault = f }) }

// Deny makes the registry refuse a repository to every token.
func (s *Server) Deny(repository string) { s.locked(func() { s.denied[repository] = true }) }

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}
