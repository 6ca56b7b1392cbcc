package core

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// Pool is a grpc.ClientConnInterface that spreads its calls over connections,
// opened as they are needed: a server accepts a bounded number of calls on
// each, and further ones would wait in this process.
type Pool struct {
	credential *Credential
	more       []grpc.DialOption

	mu          sync.Mutex
	endpoint    *Endpoint
	connections []*connection
	// former are connections to an endpoint before; they close with their last call.
	former []*connection
	closed bool
	// ended is canceled by Close, with ErrClosed.
	ended context.Context
	end   context.CancelCauseFunc
}

type connection struct {
	*grpc.ClientConn
	calls int
}

// NewPool returns a pool that connects at its first call.
func NewPool(endpoint *Endpoint, credential *Credential, more []grpc.DialOption) (*Pool, error) {
	pool := &Pool{endpoint: endpoint, credential: credential, more: more}
	pool.ended, pool.end = context.WithCancelCause(context.Background())
	// The first connection proves that the target is one.
	if _, err := pool.add(); err != nil {
		return nil, err
	}
	return pool, nil
}

func (p *Pool) options() []grpc.DialOption {
	security := p.endpoint.Credentials
	if security == nil {
		security = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(connectParams),
		grpc.WithIdleTimeout(idleTimeout),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithStatsHandler(releasing{}),
	}
	if p.endpoint.Credentials == nil && p.credential != nil {
		// A proxy of the environment would receive a credential that is meant
		// for this machine.
		options = append(options, grpc.WithNoProxy())
	}
	return append(options, p.more...)
}

// Address returns the address that calls go to.
func (p *Pool) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endpoint.Address
}

// move makes later calls to another endpoint.
func (p *Pool) move(endpoint *Endpoint) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	before, open := p.endpoint, p.connections
	p.endpoint, p.connections = endpoint, nil
	if _, err := p.add(); err != nil {
		p.endpoint, p.connections = before, open
		return err
	}
	for _, each := range open {
		if each.calls == 0 {
			go each.ClientConn.Close()
		} else {
			p.former = append(p.former, each)
		}
	}
	return nil
}

func (p *Pool) add() (*connection, error) {
	opened, err := grpc.NewClient(p.endpoint.Target, p.options()...)
	if err != nil {
		return nil, invalidEndpoint("%q is not an address: %v", p.endpoint.Target, err)
	}
	added := &connection{ClientConn: opened}
	p.connections = append(p.connections, added)
	return added, nil
}

// pick counts a call on the first connection with capacity, a new one, or the
// least used one.
func (p *Pool) pick() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	least := p.connections[0]
	for _, each := range p.connections {
		if each.calls < connectionCalls {
			each.calls++
			return each, nil
		}
		if each.calls < least.calls {
			least = each
		}
	}
	if len(p.connections) < connectionsMax {
		added, err := p.add()
		if err != nil {
			return nil, err
		}
		least = added
	}
	least.calls++
	return least, nil
}

func (p *Pool) release(picked *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	picked.calls--
	if at := slices.Index(p.former, picked); at >= 0 && picked.calls == 0 {
		p.former = slices.Delete(p.former, at, at+1)
		go picked.ClientConn.Close()
	}
}

// Close closes the connections; open calls end with ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	connections := slices.Concat(p.connections, p.former)
	if p.closed {
		connections = nil
	}
	p.closed = true
	p.mu.Unlock()
	p.end(ErrClosed)
	var failed error
	for _, each := range connections {
		if err := each.ClientConn.Close(); err != nil {
			failed = err
		}
	}
	return failed
}

type traceKey struct{}

// WithTraceparent returns a context whose calls carry a W3C trace context.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

func (p *Pool) outgoing(ctx context.Context) (context.Context, error) {
	if traceparent, ok := ctx.Value(traceKey{}).(string); ok {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", traceparent)
	}
	if p.credential == nil {
		return ctx, nil
	}
	header, err := p.credential.header(ctx)
	if err != nil {
		return nil, err
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", header), nil
}

// Invoke implements grpc.ClientConnInterface.
func (p *Pool) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	ctx, err := p.outgoing(ctx)
	if err != nil {
		return err
	}
	picked, err := p.pick()
	if err != nil {
		return err
	}
	defer p.release(picked)
	return picked.ClientConn.Invoke(ctx, method, request, response, options...)
}

// NewStream implements grpc.ClientConnInterface.
func (p *Pool) NewStream(ctx context.Context, about *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, err := p.outgoing(ctx)
	if err != nil {
		return nil, err
	}
	picked, err := p.pick()
	if err != nil {
		return nil, err
	}
	release := sync.OnceFunc(func() { p.release(picked) })
	stream, err := picked.ClientConn.NewStream(context.WithValue(ctx, releaseKey{}, release), about, method, options...)
	if err != nil {
		release()
	}
	return stream, err
}

type releaseKey struct{}

// releasing frees the place of a stream on its connection at its end.
type releasing struct{}

func (releasing) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (releasing) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, ended := event.(*stats.End); ended {
		if release, ok := ctx.Value(releaseKey{}).(func()); ok {
			release()
		}
	}
}

func (releasing) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (releasing) HandleConn(context.Context, stats.ConnStats) {}
