package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gitlab-ecr-executor/gitlab-ecr-executor/internal/settings"
)

// Every setting is in the file, commented out; without its # it changes nothing.
func TestEnvFile(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, settings.Prefix+"_") {
			t.Setenv(name, "") // restores it after the test
			os.Unsetenv(name)
		}
	}
	want, err := settings.Load()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := writeEnvFile(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if line != "\n" && line[0] != '#' {
			t.Errorf("not commented out: %q", line)
		}
		if len(line) > 120 {
			t.Errorf("a long line: %q", line)
		}
	}

	setting := regexp.MustCompile(`(?m)^#(ECR_EXECUTOR_[A-Z_]+)=`)
	found := setting.FindAllStringSubmatch(text.String(), -1)
	if all := reflect.TypeFor[settings.Settings]().NumField(); len(found) != all {
		t.Errorf("%d settings in the file, %d there are", len(found), all)
	}
	for _, match := range found {
		t.Setenv(match[1], "not from the file") // restores it after the test
	}
	file := filepath.Join(t.TempDir(), "settings.env")
	if err := os.WriteFile(file, []byte(setting.ReplaceAllString(text.String(), "$1=")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := settings.LoadFile(file); err != nil {
		t.Fatal(err)
	}
	got, err := settings.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := nilled(got), nilled(want); !reflect.DeepEqual(got, want) {
		t.Errorf("settings from the file\n%+v, want the defaults\n%+v", got, want)
	}
}

// nilled makes empty maps nil: there is no difference to who reads them.
func nilled(s settings.Settings) settings.Settings {
	value := reflect.ValueOf(&s).Elem()
	for i := range value.NumField() {
		if field := value.Field(i); field.Kind() == reflect.Map && field.Len() == 0 {
			field.SetZero()
		}
	}
	return s
}
