package ecrtest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// claims are those of GitLab's id tokens that AWS looks at.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

// IDToken returns what GitLab gives a job by `id_tokens`: a signed token that
// this server's STS believes.
func (s *Server) IDToken(subject, audience string, lifetime time.Duration) string {
	return seal(claims{"https://gitlab.example", subject, audience, time.Now().Add(lifetime).Unix(), rand.Text()}, s.signingKey)
}

// ForgedIDToken returns a token with the same claims that nobody vouches for: a
// job can put it into a variable of its own.
func ForgedIDToken(subject, audience string) string {
	return seal(claims{"https://gitlab.example", subject, audience, time.Now().Add(time.Hour).Unix(), "forged"}, []byte("nobody's"))
}

func seal(c claims, key []byte) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a number
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac(signed, key))
}

func mac(signed string, key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(signed))
	return m.Sum(nil)
}

// verify returns the claims of a token that IDToken made, and still holds.
func (s *Server) verify(token string) (c claims, fault *Fault) {
	signed, signature, _ := cutLast(token, ".")
	got, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(got, mac(signed, s.signingKey)) {
		return claims{}, &Fault{http.StatusBadRequest, "InvalidIdentityToken", "The ID Token provided is not a valid JWT."}
	}
	_, encoded, _ := strings.Cut(signed, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		return claims{}, &Fault{http.StatusBadRequest, "InvalidIdentityToken", err.Error()}
	}
	if time.Now().Unix() >= c.Expires {
		return claims{}, &Fault{http.StatusBadRequest, "ExpiredTokenException", "Token expired: current date/time must be before the expiration date/time"}
	}
	return c, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
