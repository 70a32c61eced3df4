package ecrtest

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// principal is who holds an access key.
type principal struct {
	arn string
	// role is the ARN of the role that a session is of; "" for a user.
	role         string
	sessionToken string
}

// issued is what the server knows of a token that it gave out.
type issued struct {
	principal
	expires time.Time
	push    bool // of the server's own; no restriction holds for it
}

func (s *Server) issue(who principal) (secret string, expires time.Time) {
	s.locked(func() {
		secret, expires = "tok-"+rand.Text(), time.Now().Add(s.lifetime)
		s.tokens[secret] = issued{principal: who, expires: expires}
	})
	return secret, expires
}

func basic(secret string) string { return base64.StdEncoding.EncodeToString([]byte("AWS:" + secret)) }

// Token returns a password that the registry accepts for a while, as the API
// would give it to the runner.
func (s *Server) Token() string {
	secret, _ := s.issue(principal{arn: Principal})
	return secret
}

// TokenPrincipal returns the ARN of the principal that password, a token, was
// issued to; "" when this server did not issue it.
func (s *Server) TokenPrincipal(password string) (arn string) {
	s.locked(func() { arn = s.tokens[password].arn })
	return arn
}

// AllowOnly makes the registry refuse a repository to every token that was not
// got with the role.
func (s *Server) AllowOnly(repository, roleARN string) {
	s.locked(func() { s.only[repository] = roleARN })
}

// TokenCalls returns how often a token of ECR was asked for.
func (s *Server) TokenCalls() (n int) {
	s.locked(func() { n = s.calls })
	return n
}

// PublicTokenCalls returns how often a token of ECR Public was asked for.
func (s *Server) PublicTokenCalls() (n int) {
	s.locked(func() { n = s.publicCalls })
	return n
}

// STSCalls returns how often STS was called.
func (s *Server) STSCalls() (n int) {
	s.locked(func() { n = s.stsCalls })
	return n
}
