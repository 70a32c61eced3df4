package replay

import (
	"bytes"
	"io"
	"sync"
)

// masker hides secrets in what is written through it, also those that come in
// two writes. It may be written to by several processes at once.
type masker struct {
	mu      sync.Mutex
	out     io.Writer
	secrets [][]byte
	held    []byte // may be the beginning of a secret
}

var mask = []byte("[MASKED]")

func newMasker(out io.Writer, secrets []string) *masker {
	m := &masker{out: out}
	for _, secret := range secrets {
		if secret != "" {
			m.secrets = append(m.secrets, []byte(secret))
		}
	}
	return m
}

// Write implements io.Writer.
func (m *masker) Write(data []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := append(m.held, data...)
	for _, secret := range m.secrets {
		text = bytes.ReplaceAll(text, secret, mask)
	}
	hold := 0
	for _, secret := range m.secrets {
		for n := min(len(secret)-1, len(text)); n > hold; n-- {
			if bytes.HasSuffix(text, secret[:n]) {
				hold = n
			}
		}
	}
	cut := len(text) - hold
	m.held = bytes.Clone(text[cut:])
	_, err := m.out.Write(text[:cut])
	return len(data), err
}

// flush writes what is held back.
func (m *masker) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(m.held)
	m.held = nil
}
