package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"
)

// pool returns the authority of a pair.
func pool(t *testing.T, p Pair) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CA) {
		t.Fatal("the authority is no certificate")
	}
	return roots
}

func keyPair(t *testing.T, p Pair) []tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

// handshake connects a client of one job to the server of another or the same.
func handshake(t *testing.T, server, client Pair, name string) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: keyPair(t, server), ClientCAs: pool(t, server), ClientAuth: tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("x")) // an error shows at the client's side too
		_ = conn.Close()
	}()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, &tls.Config{Certificates: keyPair(t, client), RootCAs: pool(t, client), ServerName: name})
	_, err = c.Read(make([]byte, 1)) // a refused certificate shows here at the latest
	return err
}

func TestPairsKnowEachOther(t *testing.T) {
	server, client, err := New([]string{"docker", "my-docker", "10.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docker", "my-docker", "10.0.0.1", "127.0.0.1"} {
		if err := handshake(t, server, client, name); err != nil {
			t.Errorf("server name %s: %v", name, err)
		}
	}
	if err := handshake(t, server, client, "elsewhere"); err == nil {
		t.Error("a name that is not the server's was accepted")
	}
	_, stranger, err := New([]string{"docker"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stranger.CA = server.CA
	if err := handshake(t, server, stranger, "docker"); err == nil {
		t.Error("another job's client was accepted")
	}
}
