// Package aws checks what deploy/aws holds, as far as that goes without AWS.
package aws

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// template is deploy/aws/autoscaling.yaml with !Ref and the like as {"Ref": ...}.
func template(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile("../../deploy/aws/autoscaling.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	value, _ := plain(t, root.Content[0]).(map[string]any)
	return value
}

func plain(t *testing.T, node *yaml.Node) any {
	t.Helper()
	if name, ok := strings.CutPrefix(node.Tag, "!"); ok && !strings.HasPrefix(name, "!") {
		return map[string]any{name: node.Value}
	}
	switch node.Kind {
	case yaml.MappingNode:
		value := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			value[node.Content[i].Value] = plain(t, node.Content[i+1])
		}
		return value
	case yaml.SequenceNode:
		value := []any{}
		for _, item := range node.Content {
			value = append(value, plain(t, item))
		}
		return value
	}
	var value any
	if err := node.Decode(&value); err != nil {
		t.Error(err)
	}
	return value
}

// at follows keys into maps and lists of one.
func at(t *testing.T, value any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		if list, ok := value.([]any); ok && len(list) == 1 {
			value = list[0]
		}
		next, ok := value.(map[string]any)[key]
		if !ok {
			t.Fatalf("no %s of %q", key, keys)
		}
		value = next
	}
	return value
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// Names lead to parameters and resources; every parameter is used.
func TestReferences(t *testing.T) {
	root := template(t)
	parameters := at(t, root, "Parameters").(map[string]any)
	known, used := map[string]bool{}, map[string]bool{}
	for _, name := range []string{"AWS::Partition", "AWS::Region", "AWS::AccountId", "AWS::StackName"} {
		known[name] = true
	}
	for name := range parameters {
		known[name] = true
	}
	for name := range at(t, root, "Resources").(map[string]any) {
		known[name] = true
	}
	use := func(name string) {
		used[name] = true
		if !known[name] {
			t.Errorf("%s is neither parameter nor resource", name)
		}
	}
	var walk func(value any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				walk(item)
			}
		case map[string]any:
			for key, item := range value {
				text, _ := item.(string)
				switch key {
				case "Ref":
					use(text)
				case "GetAtt":
					name, _, _ := strings.Cut(text, ".")
					use(name)
				case "Sub":
					for _, match := range reference.FindAllStringSubmatch(text, -1) {
						use(match[1])
					}
				}
				walk(item)
			}
		}
	}
	walk(root)
	for name := range parameters {
		if !used[name] {
			t.Errorf("parameter %s is not used", name)
		}
	}
}

// What docs/security.md and docs/iam.md promise.
func TestHost(t *testing.T) {
	root := template(t)
	host := at(t, root, "Resources", "LaunchTemplate", "Properties", "LaunchTemplateData")
	if at(t, host, "MetadataOptions", "HttpTokens") != "required" || at(t, host, "MetadataOptions", "HttpPutResponseHopLimit") != 1 {
		t.Errorf("metadata service: %v", at(t, host, "MetadataOptions"))
	}
	if at(t, host, "BlockDeviceMappings", "Ebs", "Encrypted") != true {
		t.Error("the disk is not encrypted")
	}
	group := at(t, root, "Resources", "Group", "Properties")
	if hook := at(t, group, "LifecycleHookSpecificationList", "LifecycleTransition"); hook != "autoscaling:EC2_INSTANCE_TERMINATING" {
		t.Errorf("hook %v", hook)
	}

	// Bash takes it, with something in place of the references.
	script := at(t, host, "UserData", "Fn::Base64", "Sub").(string)
	command := exec.Command("bash", "-n")
	command.Stdin = strings.NewReader(reference.ReplaceAllString(script, "x"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("user data: %v\n%s", err, out)
	}
	name := at(t, group, "LifecycleHookSpecificationList", "LifecycleHookName").(string)
	if !strings.Contains(script, `"${AWS::StackName}" `+name+" >/etc/gitlab-ecr-executor/drain.env") {
		t.Errorf("user data does not name the hook %s", name)
	}
}

// The policy is that of docs/iam.md.
func TestPullPolicy(t *testing.T) {
	page, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "## Pull\n")
	_, rest, _ = strings.Cut(rest, "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	var documented struct{ Statement []map[string]any }
	if err := json.Unmarshal([]byte(text), &documented); err != nil {
		t.Fatal(err)
	}
	policies := at(t, template(t), "Resources", "Role", "Properties", "Policies").([]any)
	statements := at(t, policies[0], "PolicyDocument", "Statement").([]any)
	if len(statements) != len(documented.Statement) {
		t.Fatalf("%d statements, %d documented", len(statements), len(documented.Statement))
	}
	for i, statement := range documented.Statement {
		got := statements[i].(map[string]any)
		for _, key := range []string{"Sid", "Effect", "Action"} {
			one, _ := json.Marshal(got[key])
			another, _ := json.Marshal(statement[key])
			if string(one) != string(another) {
				t.Errorf("statement %d: %s %s, documented %s", i, key, one, another)
			}
		}
	}
}
