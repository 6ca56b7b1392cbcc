package main

import (
	"context"
	"fmt"
	"slices"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func (d *driver) service(ctx context.Context, c *command) (any, error) {
	client, key := d.client(c), c.Name+c.Endpoint
	switch c.Action {
	case "register":
		made, err := mesh.Register(ctx, client, mesh.Service{Name: c.Name, Endpoint: c.Endpoint, Capabilities: c.Capabilities})
		if err == nil {
			keep(d, d.services, key, made)
		}
		return object{}, err
	case "deregister":
		return object{}, of(d, d.services, key).Close()
	case "resolve":
		return resolve(ctx, client, c)
	}
	filter := mesh.Filter{Name: c.Name, Statuses: []string{mesh.Healthy}}
	if c.Capability != "" {
		filter.Capabilities = []string{c.Capability}
	}
	if c.Action == "watch" {
		for services, err := range mesh.Watch(ctx, client, filter) {
			if err != nil || len(services) == c.Count {
				return object{"endpoints": endpoints(services)}, err
			}
		}
	}
	var found []mesh.Service
	for each, err := range mesh.List(ctx, client, filter) {
		if err != nil {
			return nil, err
		}
		found = append(found, each)
	}
	return object{"endpoints": endpoints(found)}, nil
}

func endpoints(services []mesh.Service) []string {
	found := []string{}
	for _, each := range services {
		found = append(found, each.Endpoint)
	}
	slices.Sort(found)
	return found
}

// resolve counts the instances that calls through the resolver reach.
func resolve(ctx context.Context, client *flowmesh.Client, c *command) (any, error) {
	conn, err := grpc.NewClient("flowmesh:///"+c.Name, grpc.WithResolvers(mesh.NewResolver(client)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			return nil, ctx.Err()
		}
	}
	counts := map[string]int{}
	for range c.Picks {
		var reached peer.Peer
		err := conn.Invoke(ctx, "/flowmesh.api.execution.v1.ExecutionService/GetStats", nil, nil, grpc.Peer(&reached), grpc.ForceCodec(raw{}))
		if reached.Addr == nil {
			return nil, fmt.Errorf("no instance was reached: %s", status.Convert(err).Message())
		}
		counts[reached.Addr.String()]++
	}
	return object{"endpoints": counts}, nil
}

// raw sends empty messages.
type raw struct{}

func (raw) Marshal(any) ([]byte, error)        { return nil, nil }
func (raw) Unmarshal(data []byte, _ any) error { return nil }
func (raw) Name() string                       { return "proto" }
