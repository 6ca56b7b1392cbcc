// Package flowmesh is the Go SDK of Flowmesh: it starts executions of
// workflows, waits for them, watches and steers them.
//
//	client, err := flowmesh.Dial(ctx, "127.0.0.1:7450")
//	if err != nil { … }
//	defer client.Close()
//	total, err := flowmesh.Run[int](ctx, client, "order", Order{Items: 3})
//
// Package worker runs the tasks of workflows, package mesh finds services.
package flowmesh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"

	eventv1 "flowmesh.dev/gen/flowmesh/api/event/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk/internal/core"
	"google.golang.org/grpc"
)

// Client makes calls to one address, in one namespace. It is safe for
// concurrent use, and opens connections as its calls need them.
type Client struct {
	caller     *core.Caller
	executions executionv1.ExecutionServiceClient
	events     eventv1.EventServiceClient
}

// TLS names the files of TLS, in PEM. Without CA the public authorities are
// trusted. Changed files are read again at the next connection.
type TLS = core.TLS

// TokenSource returns an access token. It is called again shortly before the
// token expires, and once if a server refuses it.
type TokenSource = core.TokenSource

// Codec is the last step before values leave a client or a worker, and the
// first after they arrive. Both methods take and return JSON.
type Codec = core.Codec

// SealingKeys is a codec that seals values by AES-256-GCM: see
// docs/sealed-values.md. The first key seals, all of them open.
type SealingKeys = core.SealingKeys

// ReadSealingKeys reads a file with a line per key: its id, and the base64 of
// its 32 bytes. Members of the names of only are sealed, at any depth; without
// names, whole values are.
func ReadSealingKeys(path string, only ...string) (*SealingKeys, error) {
	return core.ReadSealingKeys(path, only...)
}

// NewSealingKeys takes the text of such a file.
func NewSealingKeys(text string, only ...string) (*SealingKeys, error) {
	return core.NewSealingKeys(text, only...)
}

// Option configures a client.
type Option func(*options)

type options struct {
	namespace, actor string
	apiKey, token    string
	source           TokenSource
	anonymous        bool
	tls              *TLS
	plain            bool
	log              *slog.Logger
	dial             []grpc.DialOption
	codec            Codec
}

// WithNamespace sets the namespace; the default is FLOWMESH_NAMESPACE, the
// only one of the credential, or `default`.
func WithNamespace(namespace string) Option { return func(o *options) { o.namespace = namespace } }

// WithActor sets the identity that is recorded with changes; the default is
// FLOWMESH_ACTOR.
func WithActor(actor string) Option { return func(o *options) { o.actor = actor } }

// WithAPIKey sets an API key; the default is FLOWMESH_API_KEY.
func WithAPIKey(key string) Option { return func(o *options) { o.apiKey = key } }

// WithToken sets an access token; the default is FLOWMESH_TOKEN.
func WithToken(token string) Option { return func(o *options) { o.token = token } }

// WithTokenSource sets the source of access tokens.
func WithTokenSource(source TokenSource) Option { return func(o *options) { o.source = source } }

// WithoutCredential sends none, even if the environment has one.
func WithoutCredential() Option { return func(o *options) { o.anonymous = true } }

// WithTLS uses TLS with these files; the default are those of FLOWMESH_CA,
// FLOWMESH_CLIENT_CERT and FLOWMESH_CLIENT_KEY. An address `grpcs://` uses TLS
// without this option too.
func WithTLS(files TLS) Option { return func(o *options) { o.tls = &files } }

// WithoutTLS uses plain text, and permits to send a credential in it.
func WithoutTLS() Option { return func(o *options) { o.plain = true } }

// WithLogger sets the logger; the default is slog.Default().
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithDialOptions adds options of gRPC, such as the stats handler of
// OpenTelemetry.
func WithDialOptions(more ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, more...) }
}

// WithCodec sets the codec of the values of the client and its workers, such
// as SealingKeys.
func WithCodec(codec Codec) Option { return func(o *options) { o.codec = codec } }

// New returns a client that connects at its first call. An empty address
// stands for FLOWMESH_ADDRESS, a suite of `flowmesh dev` in this folder or a
// parent, or 127.0.0.1:7450. An address `grpcs://host:port` uses TLS.
func New(address string, given ...Option) (*Client, error) {
	var o options
	for _, option := range given {
		option(&o)
	}
	if o.tls != nil && o.plain {
		return nil, errors.New("WithTLS and WithoutTLS exclude each other")
	}
	address, files := core.Located(address, o.tls)
	if o.plain {
		files = nil
	}
	endpoint, err := core.NewEndpoint(address, files, o.plain)
	if err != nil {
		return nil, err
	}
	credential, err := core.NewCredential(o.apiKey, o.token, o.source, o.anonymous)
	if err != nil {
		return nil, err
	}
	if credential != nil {
		if err := endpoint.CheckCredential(credential.Source); err != nil {
			return nil, err
		}
	}
	pool, err := core.NewPool(endpoint, credential, o.dial)
	if err != nil {
		return nil, err
	}
	// The server takes the only namespace of a credential.
	last := "default"
	if credential != nil {
		last = ""
	}
	caller := &core.Caller{
		Pool:      pool,
		Namespace: first(o.namespace, os.Getenv("FLOWMESH_NAMESPACE"), last),
		Actor:     first(o.actor, os.Getenv("FLOWMESH_ACTOR")),
		Log:       o.log,
		Codec:     o.codec,
	}
	if caller.Log == nil {
		caller.Log = slog.Default()
	}
	return &Client{caller, executionv1.NewExecutionServiceClient(caller), eventv1.NewEventServiceClient(caller)}, nil
}

// Dial returns a client once its server responds; it waits for 5 s at most.
func Dial(ctx context.Context, address string, options ...Option) (*Client, error) {
	client, err := New(address, options...)
	if err != nil {
		return nil, err
	}
	if err := client.caller.Ready(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// Close closes the connections. Open calls end with ErrClosed, as later ones
// do. Closing again has no effect.
func (c *Client) Close() error { return c.caller.Close() }

// Namespace returns the namespace of the client.
func (c *Client) Namespace() string { return c.caller.Namespace }

// Conn returns the connections of the client, for generated clients of
// services that this package does not cover, such as `definitionv1`. Failures
// of their calls are statuses of gRPC; nothing is retried.
func (c *Client) Conn() grpc.ClientConnInterface { return c.caller }

// Caller gives the packages of this module access to the connections.
func (c *Client) Caller() *core.Caller { return c.caller }

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// newRequestID returns a random UUID.
func newRequestID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
