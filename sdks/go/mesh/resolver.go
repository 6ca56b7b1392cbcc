package mesh

import (
	"context"
	"strings"

	"flowmesh.dev/sdk"
	"google.golang.org/grpc/resolver"
)

// Scheme is the scheme of targets, as in `flowmesh:///billing`.
const Scheme = "flowmesh"

// NewResolver returns a resolver of gRPC for targets `flowmesh:///name`. A
// connection then has the healthy instances of that service, without a
// healthy one the degraded ones, and follows every change. Pass it to
// grpc.WithResolvers; the client must stay open.
func NewResolver(client *flowmesh.Client) resolver.Builder { return &builder{client} }

type builder struct{ client *flowmesh.Client }

func (b *builder) Scheme() string { return Scheme }

func (b *builder) Build(target resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	following := &follower{cancel: cancel, ended: make(chan struct{})}
	go following.follow(ctx, b.client, target.Endpoint(), conn)
	return following, nil
}

type follower struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func (f *follower) follow(ctx context.Context, client *flowmesh.Client, name string, conn resolver.ClientConn) {
	defer close(f.ended)
	for services, err := range Watch(ctx, client, Filter{Name: name}) {
		if err != nil {
			if ctx.Err() == nil {
				conn.ReportError(err)
			}
			return
		}
		// A balancer without addresses asks for another resolution, which the
		// next change of the registry is.
		_ = conn.UpdateState(resolver.State{Addresses: addresses(services)})
	}
}

func addresses(services []Service) []resolver.Address {
	for _, status := range []string{Healthy, Degraded} {
		var found []resolver.Address
		for _, each := range services {
			if each.Status == status && !strings.Contains(each.Endpoint, "://") {
				found = append(found, resolver.Address{Addr: each.Endpoint})
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// ResolveNow implements resolver.Resolver; changes arrive by themselves.
func (f *follower) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver.
func (f *follower) Close() {
	f.cancel()
	<-f.ended
}
