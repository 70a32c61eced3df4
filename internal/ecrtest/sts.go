package ecrtest

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Session is a role session that STS gave.
type Session struct {
	RoleARN, SessionName string
	// By is the ARN of who assumed the role, or the subject of the id token.
	By         string
	ExternalID string
	Policy     string
}

// Trust is what a role's trust policy asks for; "" asks for nothing.
type Trust struct {
	ExternalID        string
	Subject, Audience string // of an id token
}

// TrustRole sets the trust policy of a role. A role without one trusts everybody
// whom STS knows.
func (s *Server) TrustRole(roleARN string, trust Trust) {
	s.locked(func() { s.trust[roleARN] = trust })
}

// Sessions returns the role sessions given so far, in order.
func (s *Server) Sessions() (sessions []Session) {
	s.locked(func() { sessions = append(sessions, s.sessions...) })
	return sessions
}

// serveSTS speaks the AWS query protocol
// (https://smithy.io/2.0/aws/protocols/aws-query-protocol.html).
func (s *Server) serveSTS(w http.ResponseWriter, r *http.Request) {
	if fault := s.count(&s.stsCalls, &s.stsFault); fault != nil {
		stsError(w, fault)
		return
	}
	session := Session{
		RoleARN: r.PostFormValue("RoleArn"), SessionName: r.PostFormValue("RoleSessionName"),
		ExternalID: r.PostFormValue("ExternalId"), Policy: r.PostFormValue("Policy"),
	}
	action := r.PostFormValue("Action")
	if action == "AssumeRoleWithWebIdentity" { // the one that nobody signs
		claims, fault := s.verify(r.PostFormValue("WebIdentityToken"))
		if fault == nil {
			session.By = claims.Subject
			trust := s.trustOf(session.RoleARN)
			if trust.Subject != "" && trust.Subject != claims.Subject || trust.Audience != "" && trust.Audience != claims.Audience {
				fault = &Fault{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
			}
		}
		s.assume(w, action, session, fault)
		return
	}
	who, fault := s.authenticate(r, "sts", Region, publicRegion)
	switch {
	case fault != nil:
		if fault.Code == "UnrecognizedClientException" { // STS has a name of its own for that
			fault = &Fault{http.StatusForbidden, "InvalidClientTokenId", fault.Message}
		}
		stsError(w, fault)
	case action == "GetCallerIdentity":
		stsAnswer(w, action, struct{ Arn, UserId, Account string }{who.arn, "AIDAEXAMPLE", strings.Split(who.arn, ":")[4]})
	case action == "AssumeRole":
		session.By = who.arn
		if trust := s.trustOf(session.RoleARN); trust.ExternalID != session.ExternalID && trust.ExternalID != "" || trust.Subject != "" {
			fault = &Fault{http.StatusForbidden, "AccessDenied", "User: " + who.arn + " is not authorized to perform: sts:AssumeRole on resource: " + session.RoleARN}
		}
		s.assume(w, action, session, fault)
	default:
		stsError(w, &Fault{http.StatusBadRequest, "InvalidAction", "Could not find operation " + action})
	}
}

func (s *Server) trustOf(role string) (trust Trust) {
	s.locked(func() { trust = s.trust[role] })
	return trust
}

func (s *Server) assume(w http.ResponseWriter, action string, session Session, fault *Fault) {
	parts := strings.SplitN(session.RoleARN, ":", 6)
	if fault == nil && (len(parts) != 6 || !strings.HasPrefix(parts[5], "role/") || len(session.SessionName) < 2 || len(session.SessionName) > 64) {
		fault = &Fault{http.StatusBadRequest, "ValidationError", "RoleArn or RoleSessionName is invalid"}
	}
	if fault != nil {
		stsError(w, fault)
		return
	}
	name := parts[5][strings.LastIndex(parts[5], "/")+1:]
	arn := fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", parts[1], parts[4], name, session.SessionName)
	key, token := "ASIA"+rand.Text()[:16], "session-"+rand.Text()
	s.locked(func() {
		s.keys[key] = principal{arn: arn, role: session.RoleARN, sessionToken: token}
		s.sessions = append(s.sessions, session)
	})
	type user struct{ Arn, AssumedRoleId string }
	type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
	stsAnswer(w, action, struct {
		AssumedRoleUser user
		Credentials     credentials
	}{
		user{arn, "AROAEXAMPLE:" + session.SessionName},
		credentials{key, SecretKey, token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
	})
}

func stsAnswer(w http.ResponseWriter, action string, result any) {
	w.Header().Set("Content-Type", "text/xml")
	encoder := xml.NewEncoder(w)
	response, answer := xml.StartElement{Name: xml.Name{Local: action + "Response"}}, xml.StartElement{Name: xml.Name{Local: action + "Result"}}
	_ = encoder.EncodeToken(response)
	_ = encoder.EncodeElement(result, answer)
	_ = encoder.EncodeToken(response.End())
	_ = encoder.Flush()
}

func stsError(w http.ResponseWriter, f *Fault) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.Status)
	type detail struct{ Type, Code, Message string }
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Error     detail
		RequestId string
	}{Error: detail{"Sender", f.Code, f.Message}, RequestId: "00000000-0000-0000-0000-000000000000"})
}
