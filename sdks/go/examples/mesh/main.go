// Command mesh serves gRPC, registers itself, and calls itself by the name of
// the service.
package main

import (
	"context"
	"fmt"
	"log"
	"net"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	healthv1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	defer server.Stop()
	ctx := context.Background()
	client, err := flowmesh.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	billing := mesh.Service{Name: "billing", Endpoint: listener.Addr().String(), Capabilities: []string{"invoices"}}
	registration, err := mesh.Register(ctx, client, billing)
	if err != nil {
		log.Fatal(err)
	}
	defer registration.Close()
	conn, err := grpc.NewClient("flowmesh:///billing",
		grpc.WithResolvers(mesh.NewResolver(client)),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("billing is", answer.GetStatus())
}
