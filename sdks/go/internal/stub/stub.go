// Package stub is a server for the tests of this module: it answers by
// functions that a test sets.
package stub

import (
	"context"
	"net"
	"sync"
	"testing"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Server serves executions and workers on a port of this machine.
type Server struct {
	executionv1.UnimplementedExecutionServiceServer
	workerv1.UnimplementedWorkerServiceServer

	Address string
	// Start answers StartExecution; without it every execution completes with
	// its input.
	Start func(*executionv1.StartExecutionRequest) (*executionv1.StartExecutionResponse, error)
	// Tasks are sent to every worker.
	Tasks []*workerv1.Task

	mu sync.Mutex
	// Metadata has the metadata of each StartExecution.
	metadata []metadata.MD
	results  []*workerv1.TaskResult
}

// Serve starts the server until the end of the test.
func (s *Server) Serve(t *testing.T, options ...grpc.ServerOption) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	executionv1.RegisterExecutionServiceServer(server, s)
	workerv1.RegisterWorkerServiceServer(server, s)
	s.Address = listener.Addr().String()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return s
}

// Metadata returns the metadata of the starts so far.
func (s *Server) Metadata() []metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metadata
}

// Results returns the results that workers have sent so far.
func (s *Server) Results() []*workerv1.TaskResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.results
}

// StartExecution implements the service.
func (s *Server) StartExecution(ctx context.Context, request *executionv1.StartExecutionRequest) (*executionv1.StartExecutionResponse, error) {
	received, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.metadata = append(s.metadata, received)
	s.mu.Unlock()
	if s.Start != nil {
		return s.Start(request)
	}
	return Completed(request.GetInput()), nil
}

// Completed is the answer of an execution that completed with an output.
func Completed(output *commonv1.Payload) *executionv1.StartExecutionResponse {
	return &executionv1.StartExecutionResponse{ExecutionId: "e", Created: true, Execution: &executionv1.Execution{
		ExecutionId: "e", Status: executionv1.ExecutionStatus_EXECUTION_STATUS_COMPLETED, Output: output,
	}}
}

// Session implements the service: every start completes with its input.
func (s *Server) Session(stream grpc.BidiStreamingServer[executionv1.SessionRequest, executionv1.SessionResponse]) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		response := &executionv1.SessionResponse{}
		for _, start := range request.GetStarts() {
			response.Results = append(response.Results, &executionv1.SessionResult{
				CallId: start.GetCallId(), ExecutionId: "e", Output: start.GetStart().GetInput(),
				Status: executionv1.ExecutionStatus_EXECUTION_STATUS_COMPLETED,
			})
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// Work implements the service: it sends the tasks, and acknowledges results.
func (s *Server) Work(stream grpc.BidiStreamingServer[workerv1.WorkRequest, workerv1.WorkResponse]) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		response := &workerv1.WorkResponse{Pong: true, AcknowledgedFrame: request.GetResultsFrame()}
		if request.GetHello() != nil {
			response.Tasks = s.Tasks
		}
		s.mu.Lock()
		s.results = append(s.results, request.GetResults()...)
		s.mu.Unlock()
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}
