package ecrauth

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/ecrtest"
	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/failure"
)

const (
	roleA = "arn:aws:iam::111122223333:role/ci/a"
	roleB = "arn:aws:iam::444455556666:role/b"
)

func TestRoleFor(t *testing.T) {
	const ecr = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
	tests := map[string]struct {
		roles      []Role
		host, path string
		project    string
		want       string
	}{
		"no roles":                     {nil, ecr, "app", "g/p", ""},
		"match":                        {[]Role{{Repositories: "111122223333.dkr.ecr.*/*", ARN: roleA}}, ecr, "app", "g/p", roleA},
		"* stops at a slash":           {[]Role{{Repositories: "111122223333.dkr.ecr.*/*", ARN: roleA}}, ecr, "team/app", "g/p", ""},
		"** does not":                  {[]Role{{Repositories: "111122223333.dkr.ecr.*/**", ARN: roleA}}, ecr, "team/app", "g/p", roleA},
		"another account":              {[]Role{{Repositories: "999922223333.dkr.ecr.*/**", ARN: roleA}}, ecr, "app", "g/p", ""},
		"the first wins":               {[]Role{{Repositories: "**", ARN: roleB}, {Repositories: ecr + "/**", ARN: roleA}}, ecr, "app", "g/p", roleB},
		"project":                      {[]Role{{Repositories: "**", ARN: roleA, Projects: "g/**"}}, ecr, "app", "g/sub/p", roleA},
		"another project":              {[]Role{{Repositories: "**", ARN: roleA, Projects: "g/*"}, {Repositories: "**", ARN: roleB}}, ecr, "app", "h/p", roleB},
		"no project known":             {[]Role{{Repositories: "**", ARN: roleA, Projects: "g/**"}}, ecr, "app", "", "refused"},
		"for other projects only":      {[]Role{{Repositories: ecr + "/team-a/**", ARN: roleA, Projects: "team-a/**"}}, ecr, "team-a/secret", "team-b/app", "refused"},
		"another repository":           {[]Role{{Repositories: ecr + "/team-a/**", ARN: roleA, Projects: "team-a/**"}}, ecr, "team-b/app", "team-b/app", ""},
		"case gets around no role":     {[]Role{{Repositories: ecr + "/**", ARN: roleA}}, strings.ToUpper(ecr), "app", "g/p", roleA},
		"nor does the dual-stack name": {[]Role{{Repositories: ecr + "/**", ARN: roleA}}, "111122223333.dkr-ecr.eu-west-1.on.aws", "app", "g/p", roleA},
		"nor does FIPS":                {[]Role{{Repositories: "111122223333.dkr.ecr.us-east-1.amazonaws.com/**", ARN: roleA}}, "111122223333.dkr.ecr-fips.us-east-1.amazonaws.com", "app", "g/p", roleA},
		"its own name matches too":     {[]Role{{Repositories: "111122223333.dkr-ecr.*/**", ARN: roleA}}, "111122223333.dkr-ecr.eu-west-1.on.aws", "app", "g/p", roleA},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			registry, ok := ParseHost(tt.host)
			if !ok {
				t.Fatal("not a registry")
			}
			id, err := Options{Roles: tt.roles, Job: Job{ProjectPath: tt.project}}.identify(registry, tt.path)
			if tt.want == "refused" {
				if err == nil || !failure.IsBuild(err) || !strings.Contains(err.Error(), "no role for it is for project") {
					t.Errorf("identity %+v, error = %v; want it refused", id, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if id.role != nil {
				got = id.role.ARN
			}
			if got != tt.want {
				t.Errorf("role = %q, want %q", got, tt.want)
			}
		})
	}
	registry, _ := ParseHost(ecr)
	_, err := Options{Roles: []Role{{Repositories: "[", ARN: roleA}}}.identify(registry, "app")
	if err == nil || failure.IsBuild(err) || !strings.Contains(failure.Remedy(err), "ECR_EXECUTOR_ROLES") {
		t.Errorf("a broken glob: %v", err)
	}
}

func TestSessionNames(t *testing.T) {
	for _, tt := range []struct {
		job  Job
		want string
	}{
		{Job{ID: 4711, ProjectPath: "group/sub/app"}, "gitlab-4711-group.sub.app"},
		{Job{ID: 4711, ProjectID: 7}, "gitlab-4711-7"},
		{Job{ID: 1, ProjectPath: "größe/a b:c"}, "gitlab-1-gr--e.a-b-c"},
		{Job{}, "gitlab-0-0"},
		{Job{ID: 1 << 62, ProjectPath: strings.Repeat("a/", 100) + "app"}, "gitlab-4611686018427387904-a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.app"},
	} {
		got := tt.job.sessionName()
		if got != tt.want || len(got) > 64 {
			t.Errorf("session name of %+v = %q, want %q", tt.job, got, tt.want)
		}
	}
}

func withRoles(job Job, roles ...Role) func(*Options) {
	return func(o *Options) { o.Roles, o.Job = roles, job }
}

func TestProjectsHaveTheirOwnRoles(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	server.TrustRole(roleA, ecrtest.Trust{ExternalID: "ext-1"})
	roles := []Role{
		{Repositories: "**", ARN: roleA, Projects: "g/a", ExternalID: "ext-1"},
		{Repositories: "**", ARN: roleB, Projects: "g/b"},
	}
	if _, err := newSubject(server, dir, withRoles(Job{ID: 1, ProjectPath: "g/c"}, roles...)).password(t, server.Host()+"/app"); err == nil || !failure.IsBuild(err) {
		t.Errorf("a project that no role is for: error = %v, want a build failure", err)
	}
	want := map[string]string{
		"g/a": "arn:aws:sts::111122223333:assumed-role/a/gitlab-1-g.a",
		"g/b": "arn:aws:sts::444455556666:assumed-role/b/gitlab-1-g.b",
	}
	tokens := map[string]string{}
	for range 2 { // the second time from the cache
		for project, arn := range want {
			s := newSubject(server, dir, withRoles(Job{ID: 1, ProjectPath: project}, roles...))
			password, err := s.password(t, server.Host()+"/app")
			if err != nil {
				t.Fatal(err)
			}
			if got := server.TokenPrincipal(password); got != arn {
				t.Errorf("the token of %s is %s's, want %s", project, got, arn)
			}
			if first := tokens[project]; first != "" && first != password {
				t.Errorf("%s has two tokens", project)
			}
			tokens[project] = password
		}
	}
	if server.TokenCalls() != 2 || server.STSCalls() != 2 {
		t.Errorf("%d calls to ECR and %d to STS, want 2 and 2", server.TokenCalls(), server.STSCalls())
	}
	for _, session := range server.Sessions() {
		if session.By != ecrtest.Principal || (session.ExternalID == "ext-1") != (session.RoleARN == roleA) {
			t.Errorf("session = %+v", session)
		}
	}
}

// Whatever makes a difference to AWS makes one to the cache.
func TestKeysTellIdentitiesApart(t *testing.T) {
	setup(t)
	registry, _ := ParseHost("111122223333.dkr.ecr.eu-west-1.amazonaws.com")
	other := func(change func(*identity)) identity {
		id := identity{role: &Role{ARN: roleA, ExternalID: "x"}, policy: "{}", job: Job{ID: 1, ProjectID: 2, ProjectPath: "g/a"}}
		change(&id)
		return id
	}
	seen := map[string]string{}
	for what, id := range map[string]identity{
		"default chain":  {},
		"a role":         other(func(*identity) {}),
		"another role":   other(func(id *identity) { id.role = &Role{ARN: roleB, ExternalID: "x"} }),
		"external id":    other(func(id *identity) { id.role = &Role{ARN: roleA, ExternalID: "y"} }),
		"policy":         other(func(id *identity) { id.policy = "" }),
		"project":        other(func(id *identity) { id.job.ProjectPath = "g/b" }),
		"project id":     other(func(id *identity) { id.job.ProjectID = 3 }),
		"id token":       other(func(id *identity) { id.web = "a.b.c" }),
		"another token":  other(func(id *identity) { id.web = "a.b.d" }),
		"token and job":  other(func(id *identity) { id.web, id.job.ID = "a.b.c", 2 }),
		"shifted fields": other(func(id *identity) { id.role, id.policy = &Role{ARN: roleA, ExternalID: "x2:{"}, "}" }),
	} {
		key := cacheKey(registry, id)
		if twin, ok := seen[key]; ok {
			t.Errorf("%s and %s share a token", what, twin)
		}
		seen[key] = what
	}
	if cacheKey(registry, other(func(*identity) {})) != cacheKey(registry, other(func(id *identity) { id.job.ID = 9 })) {
		t.Error("two jobs of a project do not share the token of a role that the runner assumes")
	}
	emulated := registry
	emulated.Emulated = true
	if cacheKey(registry, identity{}) == cacheKey(emulated, identity{}) {
		t.Error("an emulator shares Amazon's token")
	}
}

func TestThirtyProcessesOfTwoIdentitiesMakeTwoCalls(t *testing.T) {
	server, dir := setup(t), t.TempDir()
	var all sync.WaitGroup
	passwords := make([]string, 30)
	for i := range passwords {
		role := []string{"", roleA}[i%2]
		all.Go(func() {
			child := exec.Command(childBinary(t))
			child.Env = append(child.Environ(), resolveInChild+"="+server.Host(), resolveInChild+"_STATE="+dir, resolveInChild+"_ROLE="+role)
			out, err := child.Output()
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			passwords[i] = string(out)
		})
	}
	all.Wait()
	if server.TokenCalls() != 2 || server.STSCalls() != 1 {
		t.Errorf("%d calls to ECR and %d to STS, want 2 and 1", server.TokenCalls(), server.STSCalls())
	}
	for i, password := range passwords {
		if isRole := strings.Contains(server.TokenPrincipal(password), "assumed-role/a/"); password == "" || isRole != (i%2 == 1) {
			t.Errorf("process %d has a token of %q", i, server.TokenPrincipal(password))
		}
	}
}

func TestPolicies(t *testing.T) {
	registry, _ := ParseHost("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn")
	public, _ := ParseHost("public.ecr.aws")
	const arn = `"arn:aws-cn:ecr:cn-north-1:111122223333:repository/`
	tests := map[string]struct {
		registry     Registry
		role         Role
		want, absent []string
	}{
		"none":     {registry, Role{Repositories: "r/**"}, []string{""}, []string{"Statement"}},
		"verbatim": {registry, Role{Repositories: "r/{a,b}", Policy: `{"a": 1}`}, []string{`{"a": 1}`}, nil},
		"pull": {
			registry,
			Role{Repositories: "111122223333.*/team/**", Policy: "pull"},
			[]string{`"Action":["ecr:GetAuthorizationToken"],"Resource":["*"]`, arn + `team"`, arn + `team/*"`, "ecr:BatchGetImage"},
			[]string{"Put", "Upload", `repository/*`},
		},
		"pull everything": {registry, Role{Repositories: "**/**", Policy: "pull"}, []string{arn + `*"`}, nil},
		"pull from the middle": {
			registry,
			Role{Repositories: "r/a/**/b-*", Policy: "pull"},
			[]string{arn + `a/b-*"`, arn + `a/*/b-*"`},
			nil,
		},
		"public": {public, Role{Repositories: "public.ecr.aws/**", Policy: "pull"}, []string{"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}, []string{"ecr:"}},
	}
	for name, tt := range tests {
		got, err := tt.role.sessionPolicy(tt.registry)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: policy %s, want %s", name, got, want)
			}
		}
		for _, absent := range tt.absent {
			if strings.Contains(got, absent) {
				t.Errorf("%s: policy %s has %s", name, got, absent)
			}
		}
	}
	for _, glob := range []string{"r/{a,b}", "r/[ab]", "r/a?", "r/**/a/**/b/**/c/**", `r/\*`} {
		if got, err := (&Role{Repositories: glob, Policy: "pull"}).sessionPolicy(registry); err == nil {
			t.Errorf("%s gives %s", glob, got)
		}
	}
}

func TestPolicyReachesSTS(t *testing.T) {
	server := setup(t)
	s := newSubject(server, t.TempDir(), withRoles(Job{ID: 1}, Role{Repositories: "*/team/**", ARN: roleA, Policy: PolicyPull}))
	if _, err := s.password(t, server.Host()+"/team/app"); err != nil {
		t.Fatal(err)
	}
	if sessions := server.Sessions(); len(sessions) != 1 || !strings.Contains(sessions[0].Policy, ":eu-west-1:*:repository/team/*") {
		t.Errorf("sessions = %+v", sessions)
	}
}
