package ecrtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"time"
)

// The protocol is AWS JSON 1.1
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
const target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"

// authorization is the shape of a Signature Version 4 header. The signature is
// not computed again: the SDK under test computes it right.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/[0-9]{8}/` + Region +
	`/ecr/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$`)

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	var fault *Fault
	s.locked(func() {
		s.calls++
		fault = s.apiFault
	})
	if fault != nil && fault.Status == 0 {
		panic(http.ErrAbortHandler) // drops the connection
	}
	signed := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	switch {
	case fault != nil:
		apiError(w, fault.Status, fault.Code, fault.Message)
	case r.Method != http.MethodPost || r.Header.Get("X-Amz-Target") != target:
		apiError(w, http.StatusBadRequest, "UnknownOperationException", "")
	case signed == nil:
		apiError(w, http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token")
	case signed[1] != AccessKeyID:
		apiError(w, http.StatusBadRequest, "UnrecognizedClientException", "The security token included in the request is invalid.")
	default:
		secret, expires := s.issue()
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": []any{map[string]any{
			"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + secret)),
			"expiresAt":          float64(expires.UnixMilli()) / 1000,
			"proxyEndpoint":      "http://" + s.Host(),
		}}})
	}
}

func (s *Server) issue() (secret string, expires time.Time) {
	s.locked(func() {
		secret, expires = "tok-"+rand.Text(), time.Now().Add(s.lifetime)
		s.tokens[secret] = expires
	})
	return secret, expires
}

// Token returns a password that the registry accepts for a while, as the API
// would give it.
func (s *Server) Token() string {
	secret, _ := s.issue()
	return secret
}

func apiError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

// AccessDenied is what AWS says to a principal without the permission.
var AccessDenied = Fault{http.StatusBadRequest, "AccessDeniedException", "User: arn:aws:sts::111122223333:assumed-role/ci/i-0abc " +
	"is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the " +
	"ecr:GetAuthorizationToken action"}
