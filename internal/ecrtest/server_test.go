package ecrtest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const signature = "AWS4-HMAC-SHA256 Credential=" + AccessKeyID + "/20260101/" + Region +
	"/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=" +
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func askAPI(t *testing.T, s *Server, authorization, target string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("X-Amz-Target", target)
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestAPIWantsASignature(t *testing.T) {
	s := Start()
	defer s.Close()
	tests := map[string]struct {
		authorization, target string
		status                int
		says                  string
	}{
		"signed":            {signature, target, 200, "authorizationToken"},
		"unsigned":          {"", target, 403, "MissingAuthenticationTokenException"},
		"another region":    {strings.Replace(signature, Region, "us-east-1", 1), target, 400, "scoped to a valid region"},
		"another service":   {strings.Replace(signature, "/ecr/", "/sts/", 1), target, 403, "MissingAuthenticationTokenException"},
		"public, elsewhere": {strings.Replace(signature, "/ecr/", "/ecr-public/", 1), publicTarget, 400, "scoped to a valid region"},
		"public":            {strings.Replace(signature, Region+"/ecr/", "us-east-1/ecr-public/", 1), publicTarget, 200, `{"authorizationData":{"`},
		"a short signature": {signature[:len(signature)-1], target, 403, "MissingAuthenticationTokenException"},
		"an unknown key":    {strings.Replace(signature, AccessKeyID, "AKIDNOBODY", 1), target, 400, "UnrecognizedClientException"},
		"another operation": {signature, "AmazonEC2ContainerRegistry_V20150921.DeleteRepository", 400, "UnknownOperationException"},
	}
	for name, tt := range tests {
		if status, body := askAPI(t, s, tt.authorization, tt.target); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, tt.status, tt.says)
		}
	}
}

func TestRegistryWantsALiveToken(t *testing.T) {
	s := Start()
	defer s.Close()
	image, err := Image(v1.Config{}, File{Path: "file", Content: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Push(t.Context(), "team/app", "v1", image); err != nil {
		t.Fatal(err)
	}
	pull := func(user, password string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Host()+"/v2/team/app/manifests/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			request.SetBasicAuth(user, password)
		}
		return do(t, request)
	}
	token := func() string {
		_, body := askAPI(t, s, signature, target)
		var answer struct {
			AuthorizationData []struct{ AuthorizationToken string }
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		decoded, err := base64.StdEncoding.DecodeString(answer.AuthorizationData[0].AuthorizationToken)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(string(decoded), "AWS:")
	}
	if status, body := pull("AWS", token()); status != 200 {
		t.Errorf("with a token: %d %s", status, body)
	}
	if status, _ := pull("", ""); status != 401 {
		t.Errorf("without a token: %d, want 401", status)
	}
	if status, _ := pull("AWS", "invented"); status != 401 {
		t.Errorf("with an invented token: %d, want 401", status)
	}
	s.SetLifetime(-time.Second)
	if status, body := pull("AWS", token()); status != 403 || !strings.Contains(body, "authorization token has expired") {
		t.Errorf("with an expired token: %d %s, want 403", status, body)
	}
	s.SetLifetime(time.Hour)
	s.Deny("team/app")
	if status, body := pull("AWS", token()); status != 403 || !strings.Contains(body, "ecr:BatchGetImage") {
		t.Errorf("a repository that is denied: %d %s", status, body)
	}
}

func TestARepositoryForOneRole(t *testing.T) {
	s := Start()
	defer s.Close()
	image, err := Image(v1.Config{}, File{Path: "file", Content: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	const role = "arn:aws:iam::111122223333:role/a"
	s.AllowOnly("team/app", role)
	if _, err := s.Push(t.Context(), "team/app", "v1", image); err != nil {
		t.Fatal(err)
	}
	session, _ := s.issue(principal{arn: "arn:aws:sts::111122223333:assumed-role/a/x", role: role})
	for password, want := range map[string]int{session: 200, s.Token(): 403} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Host()+"/v2/team/app/manifests/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("AWS", password)
		if status, body := do(t, request); status != want {
			t.Errorf("with a token of %s: %d %s, want %d", s.TokenPrincipal(password), status, body, want)
		}
	}
}

func TestSTS(t *testing.T) {
	s := Start()
	defer s.Close()
	signed := strings.Replace(signature, "/ecr/", "/sts/", 1)
	for name, tt := range map[string]struct {
		authorization, form string
		status              int
		says                string
	}{
		"who am I":     {signed, "Action=GetCallerIdentity", 200, "<Arn>" + Principal + "</Arn>"},
		"unsigned":     {"", "Action=GetCallerIdentity", 403, "<Code>MissingAuthenticationTokenException</Code>"},
		"unknown key":  {strings.Replace(signed, AccessKeyID, "AKIDNOBODY", 1), "Action=GetCallerIdentity", 403, "InvalidClientTokenId"},
		"a role":       {signed, "Action=AssumeRole&RoleArn=arn:aws:iam::1:role/x/r&RoleSessionName=me", 200, "<Arn>arn:aws:sts::1:assumed-role/r/me</Arn>"},
		"no name":      {signed, "Action=AssumeRole&RoleArn=arn:aws:iam::1:role/r", 400, "ValidationError"},
		"no token":     {"", "Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::1:role/r&RoleSessionName=me", 400, "InvalidIdentityToken"},
		"another call": {signed, "Action=GetFederationToken", 400, "InvalidAction"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api.URL, strings.NewReader(tt.form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", tt.authorization)
		if status, body := do(t, request); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, tt.status, tt.says)
		}
	}
}
