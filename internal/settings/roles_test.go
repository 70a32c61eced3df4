package settings

import (
	"reflect"
	"strings"
	"testing"
)

const (
	roleA = "arn:aws:iam::111122223333:role/ci/a"
	roleB = "arn:aws-us-gov:iam::444455556666:role/b=,x"
)

func TestRoles(t *testing.T) {
	tests := map[string]struct {
		value string
		want  Roles
	}{
		"none":  {"", nil},
		"pairs": {" 1.dkr.ecr.*/team/**=" + roleA + ", */*=arn:aws:iam::444455556666:role/b=x,", Roles{{Repositories: "1.dkr.ecr.*/team/**", Role: roleA}, {Repositories: "*/*", Role: "arn:aws:iam::444455556666:role/b=x"}}},
		"objects": {
			`[{"repositories": "r/{a,b}", "role": "` + roleB + `", "projects": "group/**", "external_id": "x:1", "policy": "pull"},
			 {"repositories": "r/**", "role": "` + roleA + `", "policy": {"Version": "2012-10-17", "Statement": []}},
			 {"repositories": "r/**", "role": "` + roleA + `", "policy": "{\"Version\": 1}"}]`,
			Roles{
				{"r/{a,b}", roleB, "group/**", "x:1", "pull"},
				{Repositories: "r/**", Role: roleA, Policy: `{"Version":"2012-10-17","Statement":[]}`},
				{Repositories: "r/**", Role: roleA, Policy: `{"Version": 1}`},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := load(t, map[string]string{"ROLES": tt.value})
			if err != nil || !reflect.DeepEqual(s.Roles, tt.want) {
				t.Errorf("roles = %+v, %v; want %+v", s.Roles, err, tt.want)
			}
		})
	}
}

func TestMalformedRoles(t *testing.T) {
	tests := map[string]struct{ value, want string }{
		"no pair":           {"r/*", "not a glob=ARN pair"},
		"no repository":     {"registry=" + roleA, "want a glob of registry/repository"},
		"a URL":             {"https://r/*=" + roleA, "want a glob of registry/repository"},
		"a broken glob":     {"r/[=" + roleA, "role 1: repositories"},
		"not a role":        {"r/*=" + roleA + ",r/*=arn:aws:iam::111122223333:user/x", "role 2: role"},
		"not an ARN":        {"r/*=ci", "want an ARN"},
		"broken JSON":       {`[{"repositories": "r/*"`, "not a JSON array of roles"},
		"two arrays":        {`[][]`, "something follows"},
		"unknown field":     {`[{"repository": "r/*", "role": "` + roleA + `"}]`, `"repository"`},
		"no role":           {`[{"repositories": "r/*"}]`, "role 1: role"},
		"broken projects":   {`[{"repositories": "r/*", "role": "` + roleA + `", "projects": "[a"}]`, "projects"},
		"external id":       {`[{"repositories": "r/*", "role": "` + roleA + `", "external_id": "a b"}]`, "external_id"},
		"another policy":    {`[{"repositories": "r/*", "role": "` + roleA + `", "policy": "push"}]`, `want "pull"`},
		"policy is a list":  {`[{"repositories": "r/*", "role": "` + roleA + `", "policy": []}]`, `want "pull"`},
		"policy is no JSON": {`[{"repositories": "r/*", "role": "` + roleA + `", "policy": "{"}]`, `want "pull"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, map[string]string{"ROLES": tt.value})
			if err == nil || !strings.Contains(err.Error(), "ECR_EXECUTOR_ROLES") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want the setting and %q", err, tt.want)
			}
		})
	}
}
