// Package certs makes the certificates with which a Docker daemon and its
// clients know each other.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// lifetime is more than any job may take.
const lifetime = 30 * 24 * time.Hour

// Pair is a certificate with its key and the authority that signed it, in PEM:
// what dockerd and docker call ca.pem, cert.pem and key.pem.
type Pair struct{ CA, Cert, Key []byte }

// Files returns the pair by the names that Docker's clients look for.
func (p Pair) Files() map[string][]byte {
	return map[string][]byte{"ca.pem": p.CA, "cert.pem": p.Cert, "key.pem": p.Key}
}

// New makes an authority and one certificate of it for a server with these
// names and addresses, and one for its clients. The authority's own key is
// thrown away: nobody can sign more.
func New(names []string, now time.Time) (server, client Pair, err error) {
	caKey, err := newKey()
	if err != nil {
		return server, client, err
	}
	authority := template("job CA", now)
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return server, client, fmt.Errorf("making a certificate authority: %w", err)
	}
	sign := func(t *x509.Certificate, usage x509.ExtKeyUsage) (Pair, error) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{usage}
		key, err := newKey()
		if err != nil {
			return Pair{}, err
		}
		cert, err := x509.CreateCertificate(rand.Reader, t, authority, key.Public(), caKey)
		if err != nil {
			return Pair{}, fmt.Errorf("making the certificate of the %s: %w", t.Subject.CommonName, err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return Pair{}, fmt.Errorf("encoding the key of the %s: %w", t.Subject.CommonName, err)
		}
		return Pair{CA: block("CERTIFICATE", ca), Cert: block("CERTIFICATE", cert), Key: block("PRIVATE KEY", der)}, nil
	}
	serverTemplate := template("docker daemon", now)
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			serverTemplate.IPAddresses = append(serverTemplate.IPAddresses, ip)
		} else {
			serverTemplate.DNSNames = append(serverTemplate.DNSNames, name)
		}
	}
	serverTemplate.IPAddresses = append(serverTemplate.IPAddresses, net.IPv4(127, 0, 0, 1))
	if server, err = sign(serverTemplate, x509.ExtKeyUsageServerAuth); err != nil {
		return server, client, err
	}
	client, err = sign(template("docker client", now), x509.ExtKeyUsageClientAuth)
	return server, client, err
}

func template(name string, now time.Time) *x509.Certificate {
	const skew = time.Hour // between the clocks of this host and the engine's
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
