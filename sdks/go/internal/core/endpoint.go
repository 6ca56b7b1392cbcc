package core

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// DefaultAddress is used if neither options nor the environment name one.
const DefaultAddress = "127.0.0.1:7450"

// TLS names the files of TLS, in PEM. Without CA the public authorities are
// trusted. Changed files are read again at the next connection.
type TLS struct {
	CA          string
	Certificate string
	Key         string
}

// Endpoint is a gRPC target with the security of its connections.
type Endpoint struct {
	// Address is the text that names the server.
	Address string
	Target  string
	// Credentials of TLS; nil is plain text.
	Credentials credentials.TransportCredentials
	local       bool
	plaintextOK bool
}

func invalidEndpoint(format string, arguments ...any) error {
	return NewError(ErrInvalid, "ENDPOINT_INVALID", format, arguments...)
}

// NewEndpoint parses `grpcs://host:port`, `grpc://host:port` or `host:port`.
// Plain decides for plain text, even with a credential.
func NewEndpoint(address string, files *TLS, plain bool) (*Endpoint, error) {
	scheme, target, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	secure := scheme == "grpcs" || scheme == "https"
	if secure && plain {
		return nil, invalidEndpoint("%s asks for TLS, and WithoutTLS is given", address)
	}
	if scheme != "" && !secure && files != nil {
		return nil, invalidEndpoint("%s is an address without TLS; use grpcs:// with TLS options", address)
	}
	if files == nil && !plain {
		files = tlsOfEnvironment()
	}
	secure = secure || (scheme == "" && files != nil)
	endpoint := &Endpoint{
		Address: address, Target: target, local: isLocal(target), plaintextOK: plain || plaintextAllowed(),
	}
	if !secure {
		return endpoint, nil
	}
	if files == nil {
		files = &TLS{}
	}
	loader := &tlsLoader{files: *files}
	if _, err := loader.current(); err != nil {
		return nil, err
	}
	endpoint.Credentials = &reloading{TransportCredentials: credentials.NewTLS(nil), loader: loader}
	return endpoint, nil
}

// elsewhere returns the endpoint of another cell; calls that are encrypted
// stay so.
func (e *Endpoint) elsewhere(address string) (*Endpoint, error) {
	scheme, target, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	secure := scheme == "grpcs" || scheme == "https"
	if secure && e.Credentials == nil {
		return NewEndpoint(address, nil, false)
	}
	if scheme != "" && !secure && e.Credentials != nil {
		return nil, invalidEndpoint("the server names the cell %s, which has no TLS", address)
	}
	there := *e
	there.Address, there.Target, there.local = address, target, isLocal(target)
	return &there, nil
}

// CheckCredential refuses to send a credential in plain text to another host.
func (e *Endpoint) CheckCredential(source string) error {
	if e.Credentials != nil || e.local || e.plaintextOK {
		return nil
	}
	return NewError(ErrInvalid, "PLAINTEXT_REFUSED",
		"%s would be sent to %s without TLS; use grpcs://, or allow it with WithoutTLS or FLOWMESH_ALLOW_PLAINTEXT=true",
		source, e.Target)
}

func splitAddress(address string) (scheme, target string, err error) {
	scheme, rest, found := strings.Cut(address, "://")
	scheme = strings.ToLower(scheme)
	if !found {
		scheme, rest = "", address
	}
	switch scheme {
	case "dns", "ipv4", "ipv6", "unix", "passthrough", "xds":
		return "", address, nil
	case "", "grpc", "grpcs", "http", "https":
	default:
		return "", "", invalidEndpoint("the scheme %.20s:// is unknown; expected grpc:// or grpcs://", scheme)
	}
	target = strings.TrimSuffix(rest, "/")
	if target == "" || strings.ContainsAny(target, "/?#@ \t\r\n\x00") {
		return "", "", invalidEndpoint("%q is not an address; expected host:port, without path, user or query", address)
	}
	if _, _, err := net.SplitHostPort(target); err != nil {
		if scheme != "grpcs" && scheme != "https" {
			return "", "", invalidEndpoint("%q has no port; expected host:port", address)
		}
		target += ":443"
	}
	return scheme, target, nil
}

func isLocal(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(target[strings.LastIndex(target, "/")+1:])
	if err != nil {
		return false
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func plaintextAllowed() bool {
	switch strings.ToLower(os.Getenv("FLOWMESH_ALLOW_PLAINTEXT")) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}

func tlsOfEnvironment() *TLS {
	found := TLS{os.Getenv("FLOWMESH_CA"), os.Getenv("FLOWMESH_CLIENT_CERT"), os.Getenv("FLOWMESH_CLIENT_KEY")}
	if found == (TLS{}) {
		return nil
	}
	return &found
}

// tlsLoader reads the files again once one of them has changed.
type tlsLoader struct {
	files TLS

	mu     sync.Mutex
	stamp  string
	loaded *tls.Config
}

func (l *tlsLoader) current() (*tls.Config, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := fileStamp(l.files.CA) + fileStamp(l.files.Certificate) + fileStamp(l.files.Key)
	if l.loaded != nil && stamp == l.stamp {
		return l.loaded, nil
	}
	config, err := l.files.config()
	if err != nil {
		if l.loaded != nil {
			return l.loaded, nil // half-written files: the former ones stay in use
		}
		return nil, err
	}
	l.loaded, l.stamp = config, stamp
	return config, nil
}

func fileStamp(path string) string {
	about, err := os.Stat(path)
	if err != nil {
		return "-"
	}
	return fmt.Sprint(about.ModTime().UnixNano(), about.Size())
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (t.Certificate == "") != (t.Key == "") {
		return nil, invalidEndpoint("a client certificate needs both its certificate and its key file")
	}
	if t.CA != "" {
		content, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, invalidEndpoint("cannot read the TLS file: %v", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, invalidEndpoint("%s holds no certificate in PEM", t.CA)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, invalidEndpoint("cannot use the client certificate: %v", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// reloading makes each handshake with the present files.
type reloading struct {
	credentials.TransportCredentials
	loader *tlsLoader
}

func (r *reloading) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.loader.current()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config.Clone()).ClientHandshake(ctx, authority, raw)
}

func (r *reloading) Clone() credentials.TransportCredentials {
	return &reloading{TransportCredentials: r.TransportCredentials.Clone(), loader: r.loader}
}

// Located returns the address and the TLS files of a server: those given,
// FLOWMESH_ADDRESS, those of a suite that runs in this folder or a parent, or
// the default.
func Located(address string, files *TLS) (string, *TLS) {
	if address == "" {
		address = os.Getenv("FLOWMESH_ADDRESS")
	}
	if address != "" {
		return address, files
	}
	found, authority := runningSuite()
	if found == "" {
		return DefaultAddress, files
	}
	if authority != "" && files == nil && tlsOfEnvironment() == nil {
		files = &TLS{CA: authority}
	}
	return found, files
}

// runningSuite reads `.flowmesh/dev.json` of the working folder or a parent.
// The file of another user or of an ended process is ignored.
func runningSuite() (address, authority string) {
	folder, err := os.Getwd()
	for err == nil {
		if address, authority = suiteIn(filepath.Join(folder, ".flowmesh", "dev.json")); address != "" {
			return address, authority
		}
		if folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder)
	}
	return "", ""
}

func suiteIn(file string) (address, authority string) {
	about, err := os.Stat(file)
	if err != nil {
		return "", ""
	}
	if !ownFile(about) {
		return "", ""
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", ""
	}
	var suite struct {
		PID  int
		GRPC string
		CA   string
	}
	if json.Unmarshal(content, &suite) != nil || suite.PID <= 0 || strings.Contains(suite.GRPC, "://") {
		return "", ""
	}
	if !processRuns(suite.PID) {
		return "", ""
	}
	if !isLocal(suite.GRPC) {
		suite.CA = ""
	}
	return suite.GRPC, suite.CA
}

func sleep(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
