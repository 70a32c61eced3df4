package ecrauth

import (
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
)

// Docker clients of a job get the role of its project, and not the runner's
// identity where roles are what tells projects apart.
func TestClientsGetTheRoleOfTheirProject(t *testing.T) {
	server := setup(t)
	tests := map[string]struct {
		roles   []Role
		project string
		want    string // role of the token; "runner", or "" for none
	}{
		"no roles":                     {nil, "g/p", "runner"},
		"roles for other registries":   {[]Role{{Repositories: "999999999999.dkr.ecr.*/**", ARN: roleA}}, "g/p", "runner"},
		"a role for some repositories": {[]Role{{Repositories: server.Host() + "/team/**", ARN: roleA}}, "g/p", roleA},
		"the first for the project":    {[]Role{{Repositories: "**", ARN: roleB, Projects: "h/*"}, {Repositories: "**", ARN: roleA, Projects: "g/*"}}, "g/p", roleA},
		"none for the project":         {[]Role{{Repositories: server.Host() + "/team/**", ARN: roleB, Projects: "h/*"}}, "g/p", ""},
		"any registry":                 {[]Role{{Repositories: "*/team/**", ARN: roleA}}, "g/p", roleA},
		"braces":                       {[]Role{{Repositories: "{" + server.Host() + "/a,x/b}", ARN: roleB, Projects: "h/*"}}, "g/p", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := New(Options{Hosts: map[string]string{server.Host(): ecrtest.Region}, Roles: tt.roles, Job: Job{ID: 1, ProjectPath: tt.project}})
			cred, found, err := k.ResolveRegistry(t.Context(), server.Host())
			if err != nil || found != (tt.want != "") {
				t.Fatalf("found %v, %v; want %q", found, err, tt.want)
			}
			if !found {
				return
			}
			wants := map[string]string{"runner": ecrtest.Principal, roleA: ":assumed-role/a/", roleB: ":assumed-role/b/"}
			if got := server.TokenPrincipal(cred.Password.Reveal()); !strings.Contains(got, wants[tt.want]) {
				t.Errorf("the token is of %s, want %s", got, tt.want)
			}
		})
	}
	if _, found, err := New(Options{}).ResolveRegistry(t.Context(), "registry.example"); found || err != nil {
		t.Errorf("a registry of somebody else: %v, %v", found, err)
	}
}
