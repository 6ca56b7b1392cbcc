// Package mesh finds the services that are registered with Flowmesh, and
// registers own ones.
//
//	registration, err := mesh.Register(ctx, client, mesh.Service{Name: "billing", Endpoint: "10.0.0.7:9000"})
//	defer registration.Close()
//
//	conn, err := grpc.NewClient("flowmesh:///billing", grpc.WithResolvers(mesh.NewResolver(client)), …)
package mesh

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	registryv1 "flowmesh.dev/gen/flowmesh/api/registry/v1"
	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/core"
)

const heartbeatEvery = time.Second

// The statuses of instances.
const (
	Healthy   = "HEALTHY"
	Degraded  = "DEGRADED"
	Unhealthy = "UNHEALTHY"
	Offline   = "OFFLINE"
)

// Service is an instance of a service.
type Service struct {
	Name string
	// Type is any word; the default is `API`.
	Type string
	// Endpoint is `host:port` of gRPC, or a URL. Without a host the registry
	// uses the address that sent the registration.
	Endpoint     string
	Capabilities []string
	Metadata     map[string]string
	Version      string
	// ID is unique; the default is a random one.
	ID string
	// Status is set by the registry.
	Status string
}

// Filter selects instances; empty fields select all.
type Filter struct {
	Name         string
	Type         string
	Capabilities []string
	Statuses     []string
}

// Registration keeps an instance registered until it is closed.
type Registration struct {
	Service Service

	client *flowmesh.Client
	cancel context.CancelFunc
	ended  chan struct{}
	close  func() error
}

func registry(client *flowmesh.Client) registryv1.RegistryServiceClient {
	return registryv1.NewRegistryServiceClient(client.Caller())
}

func serviceOf(instance *registryv1.Instance) Service {
	return Service{
		Name:         instance.GetName(),
		Type:         instance.GetType(),
		Endpoint:     instance.GetEndpoint(),
		Capabilities: instance.GetCapabilities(),
		Metadata:     instance.GetMetadata(),
		Version:      instance.GetVersion(),
		ID:           instance.GetId(),
		Status:       strings.TrimPrefix(instance.GetStatus().String(), "INSTANCE_STATUS_"),
	}
}

// Register registers an instance and sends its heartbeats. It ends with
// Close.
func Register(ctx context.Context, client *flowmesh.Client, service Service) (*Registration, error) {
	if service.ID == "" {
		service.ID = "service-" + rand.Text()
	}
	if service.Type == "" {
		service.Type = "API"
	}
	found, err := register(ctx, client, service)
	if err != nil {
		return nil, err
	}
	beating, cancel := client.Caller().Scope(context.Background())
	made := &Registration{Service: found, client: client, cancel: cancel, ended: make(chan struct{})}
	made.close = sync.OnceValue(made.deregister)
	go made.beat(beating, service)
	return made, nil
}

func register(ctx context.Context, client *flowmesh.Client, service Service) (Service, error) {
	request := &registryv1.RegisterInstanceRequest{
		Instance: &registryv1.Instance{
			Namespace:    client.Namespace(),
			Id:           service.ID,
			Name:         service.Name,
			Type:         service.Type,
			Endpoint:     service.Endpoint,
			Capabilities: service.Capabilities,
			Metadata:     service.Metadata,
			Version:      service.Version,
		},
		HeartbeatIntervalMs: heartbeatEvery.Milliseconds(),
	}
	response, err := core.Call(ctx, client.Caller(), registry(client).RegisterInstance, request)
	return serviceOf(response.GetInstance()), err
}

func (r *Registration) beat(ctx context.Context, service Service) {
	defer close(r.ended)
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		request := &registryv1.HeartbeatRequest{
			Namespace: r.client.Namespace(), Id: service.ID,
			Status: registryv1.InstanceStatus_INSTANCE_STATUS_HEALTHY,
		}
		_, err := core.Call(ctx, r.client.Caller(), registry(r.client).Heartbeat, request)
		if errors.Is(err, flowmesh.ErrNotFound) {
			_, err = register(ctx, r.client, service)
		}
		if err != nil && ctx.Err() == nil {
			r.client.Caller().Log.Warn("flowmesh: the heartbeat of a service failed", "service", service.Name, "error", err)
		}
	}
}

// Close ends the heartbeats and removes the instance. Closing again has no
// effect.
func (r *Registration) Close() error { return r.close() }

func (r *Registration) deregister() error {
	r.cancel()
	<-r.ended
	request := &registryv1.DeregisterInstanceRequest{Namespace: r.client.Namespace(), Id: r.Service.ID}
	_, err := core.Call(context.Background(), r.client.Caller(), registry(r.client).DeregisterInstance, request)
	return err
}

// List yields the instances that a filter selects, by name and id.
func List(ctx context.Context, client *flowmesh.Client, filter Filter) iter.Seq2[Service, error] {
	return func(yield func(Service, error) bool) {
		request := &registryv1.ListInstancesRequest{
			Namespace: client.Namespace(), Name: filter.Name, Type: filter.Type, Capabilities: filter.Capabilities,
		}
		for _, status := range filter.Statuses {
			number := registryv1.InstanceStatus_value["INSTANCE_STATUS_"+strings.ToUpper(status)]
			request.Statuses = append(request.Statuses, registryv1.InstanceStatus(number))
		}
		for {
			response, err := core.Call(ctx, client.Caller(), registry(client).ListInstances, request)
			if err != nil {
				yield(Service{}, err)
				return
			}
			for _, each := range response.GetInstances() {
				if !yield(serviceOf(each), nil) {
					return
				}
			}
			if request.PageToken = response.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

// Watch yields the instances that a filter selects, sorted by id, now and
// after each change. While the registry is away the last ones stay; an error
// is yielded once, at the end.
func Watch(ctx context.Context, client *flowmesh.Client, filter Filter) iter.Seq2[[]Service, error] {
	return func(yield func([]Service, error) bool) {
		ctx, cancel := client.Caller().Scope(ctx)
		defer cancel()
		reconnect := core.NewReconnect(client.Caller())
		for {
			stopped, err := watchOnce(ctx, client, filter, reconnect, yield)
			if stopped {
				return
			}
			reconnect.Broken(ctx, err)
			if reconnect.Refused() || reconnect.Pause(ctx) != nil {
				if err = reconnect.Err(); ctx.Err() != nil {
					err = client.Caller().Translate(ctx, ctx.Err())
				}
				yield(nil, err)
				return
			}
		}
	}
}

func watchOnce(
	ctx context.Context, client *flowmesh.Client, filter Filter, reconnect *core.Reconnect,
	yield func([]Service, error) bool,
) (stopped bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reconnect.Opening(ctx)
	capability := ""
	if len(filter.Capabilities) > 0 {
		capability = filter.Capabilities[0]
	}
	stream, err := registry(client).WatchInstances(ctx, &registryv1.WatchInstancesRequest{
		Namespace: client.Namespace(), Name: filter.Name, Type: filter.Type, Capability: capability,
	})
	known := make(map[string]Service)
	for err == nil {
		var response *registryv1.WatchInstancesResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		reconnect.Connected()
		if response.GetSnapshot() {
			clear(known)
		}
		for _, instance := range response.GetInstances() {
			known[instance.GetId()] = serviceOf(instance)
		}
		if !yield(filter.selected(known), nil) {
			return true, nil
		}
	}
	return false, err
}

func (f Filter) selected(known map[string]Service) []Service {
	var found []Service
	for _, id := range slices.Sorted(maps.Keys(known)) {
		service := known[id]
		if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, service.Status) {
			continue
		}
		lacks := func(capability string) bool { return !slices.Contains(service.Capabilities, capability) }
		if !slices.ContainsFunc(f.Capabilities, lacks) {
			found = append(found, service)
		}
	}
	return found
}
