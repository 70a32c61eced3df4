package registryauth

import (
	"regexp"
	"strings"
	"unicode"
)

// registryHost is a host name with a dot or a port. It is matched before letters
// are lowered: the Kelvin sign becomes a k.
var registryHost = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?(?::[0-9]{1,5})?$`)

// maxHost is the longest host name, with a port.
const maxHost = 253 + len(":65535")

// Hosts returns what may be a registry's host[:port] in a text: an image
// reference, a URL, a list of them, a piece of a script. They are in lower case,
// in order, each once. The text is anyone's: a host comes out whole or not at
// all, never a part of it that looks like another; which of them to trust is the
// caller's to decide.
func Hosts(text string) []string {
	var hosts []string
	seen := map[string]bool{}
	for word := range strings.FieldsFuncSeq(text, endsWord) {
		host := hostOf(word)
		if len(host) > maxHost || !strings.ContainsAny(host, ".:") || !registryHost.MatchString(host) {
			continue
		}
		host = strings.ToLower(host)
		if !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// endsWord tells what cannot be in an image reference or a URL up to its path.
// Letters of other alphabets do not end a word: what is before them would be
// part of a host name.
func endsWord(r rune) bool {
	switch {
	case r > unicode.MaxASCII:
		return unicode.IsSpace(r)
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(".-_:/@?#%+~", r)
}

// hostOf returns where the host of a URL or image reference would be.
func hostOf(word string) string {
	if scheme, rest, found := strings.Cut(word, "://"); found && !strings.ContainsAny(scheme, "/?#@") {
		word = rest
	}
	if end := strings.IndexAny(word, "/?#"); end >= 0 {
		word = word[:end]
	}
	word = word[strings.LastIndex(word, "@")+1:] // user:password@host
	return strings.TrimSuffix(word, ":")         // a key of YAML
}
