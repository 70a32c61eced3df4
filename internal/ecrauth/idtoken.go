package ecrauth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// webCaller names the job's id token by what a trust policy looks at. Nothing is
// verified here: it is for the log alone.
func (id identity) webCaller() string {
	text := "the job's id token " + id.variable
	parts := strings.Split(id.web.Reveal(), ".")
	if len(parts) != 3 {
		return text + " (which is no JWT)"
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return text + " (which is no JWT)"
	}
	return fmt.Sprintf("%s (sub %.200q, aud %.200s)", text, claims.Subject, printable(claims.Audience))
}

func printable(raw json.RawMessage) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, string(raw))
}
