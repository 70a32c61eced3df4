package ecrauth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/config"
)

// identityVariables select the principal that the AWS SDK uses
// (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
// The secret keys are not among them: the id names the key.
var identityVariables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_STS",
}

// cacheKey tells principals and endpoints apart without a call to AWS, so that
// a token in the cache costs no network at all. A token covers every account
// that the principal may reach in the region: the account is no part of it.
func cacheKey(registry Registry, id identity) string {
	h := sha256.New()
	add := func(part string) { fmt.Fprintf(h, "%d:%s", len(part), part) }
	for _, name := range identityVariables {
		add(os.Getenv(name))
	}
	for _, file := range []struct{ name, fallback string }{
		{"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()},
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename()},
	} {
		path := os.Getenv(file.name)
		if path == "" {
			path = file.fallback
		}
		content, _ := os.ReadFile(path) // a missing file is no identity
		sum := sha256.Sum256(content)
		add(hex.EncodeToString(sum[:]))
	}
	add(registry.Region)
	for _, flag := range []bool{registry.FIPS, registry.DualStack, registry.Public, registry.Emulated} {
		add(strconv.FormatBool(flag))
	}
	id.addTo(add)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// addTo adds what tells id from the default chain and from other roles.
//
// A role that the runner assumes is shared by the jobs of a project, not wider:
// CloudTrail names the session's project for each pull.
//
// A role that a job assumes with its id token is kept for that job alone. Jobs
// with the same subject would be the same principal to AWS, but AWS alone can
// tell: nobody here has verified the token, and a job may put one with another
// project's claims into a variable of that name. So the key has the whole token,
// which cannot be guessed, and the job, so that a token which leaked opens
// nothing in another job after it has expired.
func (id identity) addTo(add func(string)) {
	if id.role == nil {
		return
	}
	for _, part := range []string{id.role.ARN, id.role.ExternalID, id.policy} {
		add(part)
	}
	add(strconv.FormatInt(id.job.ProjectID, 10))
	add(id.job.ProjectPath)
	if id.web != "" {
		sum := sha256.Sum256([]byte(id.web.Reveal()))
		add(hex.EncodeToString(sum[:]))
		add(strconv.FormatInt(id.job.ID, 10))
	}
}
