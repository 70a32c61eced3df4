package stages

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestResolvers(t *testing.T) {
	tests := map[string]struct {
		files []string
		want  []string
	}{
		"plain":           {[]string{"# comment\nsearch corp.example\nnameserver 10.0.0.2\nnameserver\t10.0.0.3\n"}, []string{"10.0.0.2", "10.0.0.3"}},
		"a local stub":    {[]string{"nameserver 127.0.0.53\n", "nameserver 10.0.0.2\n"}, []string{"10.0.0.2"}},
		"engine's":        {[]string{"nameserver 127.0.0.11\noptions ndots:0\n"}, nil},
		"IPv6":            {[]string{"nameserver fd00:ec2::253\nnameserver fe80::1%eth0\nnameserver ::1\n"}, []string{"fd00:ec2::253"}},
		"first file wins": {[]string{"nameserver 10.0.0.2\n", "nameserver 10.0.0.9\n"}, []string{"10.0.0.2"}},
		"nonsense":        {[]string{"nameserver\nnameserver here\n"}, nil},
		"no file":         {nil, nil},
	}
	for name, tt := range tests {
		files := []string{filepath.Join(t.TempDir(), "missing")}
		for i, content := range tt.files {
			file := filepath.Join(t.TempDir(), "resolv.conf"+string(rune('0'+i)))
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		if got := resolvers(files); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
