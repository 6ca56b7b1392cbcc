package flowmesh_test

import (
	"errors"
	"testing"

	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/stub"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// naming returns a server that refuses all calls and names the cell at an address.
func naming(t *testing.T, address func() string) *stub.Server {
	t.Helper()
	refusal := func() error {
		found, err := status.New(codes.FailedPrecondition, "another cell serves this call").WithDetails(
			&errdetails.ErrorInfo{Reason: "CELL_MISDIRECTED", Metadata: map[string]string{"address": address()}})
		if err != nil {
			return err
		}
		return found.Err()
	}
	server := &stub.Server{Start: func(*executionv1.StartExecutionRequest) (*executionv1.StartExecutionResponse, error) {
		return nil, refusal()
	}}
	return server.Serve(t, grpc.StreamInterceptor(
		func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { return refusal() }))
}

func TestACallOfAnotherCellIsRepeatedThereAndLaterOnesGoDirect(t *testing.T) {
	eu := (&stub.Server{}).Serve(t)
	us := naming(t, func() string { return eu.Address })
	client := dial(t, us, flowmesh.WithToken("token"))
	for range 2 {
		if _, err := client.Start(t.Context(), "any", nil); err != nil {
			t.Fatal(err)
		}
	}
	if asked, served := len(us.Metadata()), eu.Metadata(); asked != 1 || len(served) != 2 {
		t.Fatalf("the first cell received %d starts, the other %d", asked, len(served))
	}
	for _, received := range eu.Metadata() {
		if received.Get("authorization")[0] != "Bearer token" {
			t.Errorf("sent %v", received)
		}
	}
}

func TestAStreamOfAnotherCellIsOpenedThere(t *testing.T) {
	eu := (&stub.Server{}).Serve(t)
	client := dial(t, naming(t, func() string { return eu.Address }))
	session := client.Session(t.Context())
	defer session.Close()
	call, err := session.Start(t.Context(), "any", 1)
	if err != nil {
		t.Fatal(err)
	}
	if output, err := flowmesh.SessionOutput[int](t.Context(), call); err != nil || output != 1 {
		t.Fatal(output, err)
	}
}

func TestCellsThatNameEachOtherAreAnError(t *testing.T) {
	var us, eu *stub.Server
	eu = naming(t, func() string { return us.Address })
	us = naming(t, func() string { return eu.Address })
	_, err := dial(t, us).Start(t.Context(), "any", nil)
	if !errors.Is(err, flowmesh.ErrWrongState) || flowmesh.ReasonOf(err) != "CELL_MISDIRECTED" {
		t.Error(err)
	}
	if asked, served := len(us.Metadata()), len(eu.Metadata()); asked != 1 || served != 1 {
		t.Errorf("the first cell received %d starts, the other %d", asked, served)
	}
	session := dial(t, us).Session(t.Context())
	defer session.Close()
	call, err := session.Start(t.Context(), "any", 1)
	if err == nil {
		_, err = flowmesh.SessionOutput[int](t.Context(), call)
	}
	if flowmesh.ReasonOf(err) != "CELL_MISDIRECTED" {
		t.Error(err)
	}
}

func TestACredentialIsNotSentToACellInPlainText(t *testing.T) {
	us := naming(t, func() string { return "example.com:7450" })
	_, err := dial(t, us, flowmesh.WithToken("token")).Start(t.Context(), "any", nil)
	if flowmesh.ReasonOf(err) != "PLAINTEXT_REFUSED" {
		t.Fatal(err)
	}
}
