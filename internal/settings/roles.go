package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Role is an AWS role for some repositories, and for some projects when
// Projects is set.
type Role struct {
	Repositories string // glob of registry/repository
	Role         string // ARN
	Projects     string // glob of project paths; "" for all
	ExternalID   string
	Policy       string // session policy: "", "pull" or JSON
}

// Roles is an ordered list: the first that matches is taken. It is written as
// glob=ARN,glob=ARN, or as a JSON array of objects.
type Roles []Role

// Decode implements envconfig.Decoder.
func (r *Roles) Decode(value string) error {
	roles, err := decodeRoles(strings.TrimSpace(value))
	if err != nil {
		return err
	}
	for i, role := range roles {
		if err := role.check(); err != nil {
			return fmt.Errorf("role %d: %w", i+1, err)
		}
	}
	*r = roles
	return nil
}

func decodeRoles(value string) (Roles, error) {
	if strings.HasPrefix(value, "[") {
		return decodeRoleObjects(value)
	}
	items, err := decodeList(value)
	if err != nil {
		return nil, err
	}
	var roles Roles
	for _, item := range items {
		// Globs have no equals sign, names of roles may.
		glob, arn, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not a glob=ARN pair (globs and ARNs with commas: use a JSON array)", item)
		}
		roles = append(roles, Role{Repositories: strings.TrimSpace(glob), Role: strings.TrimSpace(arn)})
	}
	return roles, nil
}

func decodeRoleObjects(value string) (Roles, error) {
	var objects []struct {
		Repositories string          `json:"repositories"`
		Role         string          `json:"role"`
		Projects     string          `json:"projects"`
		ExternalID   string          `json:"external_id"`
		Policy       json.RawMessage `json:"policy"`
	}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&objects); err != nil {
		return nil, fmt.Errorf("not a JSON array of roles: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a JSON array of roles: something follows it")
	}
	var roles Roles
	for i, object := range objects {
		policy, err := decodePolicy(object.Policy)
		if err != nil {
			return nil, fmt.Errorf("role %d: %w", i+1, err)
		}
		roles = append(roles, Role{object.Repositories, object.Role, object.Projects, object.ExternalID, policy})
	}
	return roles, nil
}

// decodePolicy takes a policy as an object or as a string that holds one.
func decodePolicy(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] == '{' {
		var compact bytes.Buffer
		err := json.Compact(&compact, raw) // a session policy may have 2048 characters
		if len(raw) == 0 {
			err = nil
		}
		return compact.String(), err
	}
	var policy string
	if err := json.Unmarshal(raw, &policy); err != nil {
		return "", errPolicy
	}
	return policy, nil
}

// PolicyPull is the ready-made session policy.
const PolicyPull = "pull"

var (
	errPolicy = errors.New(`policy: want "pull" or an IAM policy in JSON`)
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	roleARN    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$`)
	externalID = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]+$`)
)

func (r Role) check() error {
	registry, repository, _ := strings.Cut(r.Repositories, "/")
	switch {
	case registry == "" || repository == "" || strings.Contains(r.Repositories, "://") || !doublestar.ValidatePattern(r.Repositories):
		return fmt.Errorf("repositories %q: want a glob of registry/repository, such as 111122223333.dkr.ecr.*/**", r.Repositories)
	case !roleARN.MatchString(r.Role):
		return fmt.Errorf("role %q: want an ARN such as arn:aws:iam::111122223333:role/name", r.Role)
	case !doublestar.ValidatePattern(r.Projects):
		return fmt.Errorf("projects %q: not a glob", r.Projects)
	case r.ExternalID != "" && (len(r.ExternalID) < 2 || len(r.ExternalID) > 1224 || !externalID.MatchString(r.ExternalID)):
		return errors.New("external_id: want 2 to 1224 letters, digits or _+=,.@:/-")
	case r.Policy != "" && r.Policy != PolicyPull && (!strings.HasPrefix(strings.TrimSpace(r.Policy), "{") || !json.Valid([]byte(r.Policy))):
		return errPolicy
	}
	return nil
}

// VariableName is the name of a job's variable.
type VariableName string

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Decode implements envconfig.Decoder.
func (v *VariableName) Decode(value string) error {
	if value != "" && !variableName.MatchString(value) {
		return errors.New("want the name of a variable, without $")
	}
	*v = VariableName(value)
	return nil
}
