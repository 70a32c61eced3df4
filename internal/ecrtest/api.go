package ecrtest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// The ECR APIs speak AWS JSON 1.1
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
const (
	target       = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
	publicTarget = "SpencerFrontendService.GetAuthorizationToken"
	publicRegion = "us-east-1"
)

// authorization is the shape of a Signature Version 4 header: key, region,
// service. The signature is not computed again: the SDK under test computes it
// right.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/[0-9]{8}/([a-z0-9-]+)/` +
	`([a-z-]+)/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$`)

// serveAPI answers for all three APIs: their requests tell them apart.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		s.serveSTS(w, r)
	case r.Header.Get("X-Amz-Target") == publicTarget:
		s.serveToken(w, r, &s.publicCalls, &s.publicFault, publicRegion, "ecr-public")
	default:
		s.serveToken(w, r, &s.calls, &s.apiFault, Region, "ecr")
	}
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, calls *int, knob **Fault, region, service string) {
	if fault := s.count(calls, knob); fault != nil {
		apiError(w, fault)
		return
	}
	if t := r.Header.Get("X-Amz-Target"); r.Method != http.MethodPost || t != target && t != publicTarget {
		apiError(w, &Fault{http.StatusBadRequest, "UnknownOperationException", ""})
		return
	}
	who, fault := s.authenticate(r, service, region)
	if fault != nil {
		apiError(w, fault)
		return
	}
	authorization, expires := s.issue(who)
	data := map[string]any{
		"authorizationToken": basic(authorization), "expiresAt": float64(expires.UnixMilli()) / 1000,
		"proxyEndpoint": "http://" + s.Host(),
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if service == "ecr-public" { // an object where ECR has a list
		_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": data})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": []any{data}})
}

// count counts a call and returns the fault to answer with, if any.
func (s *Server) count(calls *int, knob **Fault) (fault *Fault) {
	s.locked(func() {
		*calls++
		fault = *knob
	})
	if fault != nil && fault.Status == 0 {
		panic(http.ErrAbortHandler) // drops the connection
	}
	return fault
}

// authenticate returns who signed a request.
func (s *Server) authenticate(r *http.Request, service string, regions ...string) (who principal, fault *Fault) {
	signed := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if signed == nil || signed[3] != service {
		return principal{}, &Fault{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	valid := false
	for _, region := range regions {
		valid = valid || signed[2] == region
	}
	if !valid {
		return principal{}, &Fault{http.StatusBadRequest, "InvalidSignatureException", "Credential should be scoped to a valid region. "}
	}
	var known bool
	s.locked(func() { who, known = s.keys[signed[1]] })
	if !known || who.sessionToken != r.Header.Get("X-Amz-Security-Token") {
		return principal{}, &Fault{http.StatusBadRequest, "UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	return who, nil
}

func apiError(w http.ResponseWriter, f *Fault) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.Code, "message": f.Message})
}

// AccessDenied is what AWS says to a principal without the permission.
var AccessDenied = Fault{http.StatusBadRequest, "AccessDeniedException", "User: arn:aws:sts::111122223333:assumed-role/ci/i-0abc " +
	"is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the " +
	"ecr:GetAuthorizationToken action"}
