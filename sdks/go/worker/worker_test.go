package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/stub"
	"flowmesh.dev/sdk/worker"
	"go.uber.org/goleak"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

var quiet = slog.New(slog.DiscardHandler)

func task(token, taskType string) *workerv1.Task {
	return &workerv1.Task{
		Token: token, TaskType: taskType, Attempt: 1, Traceparent: traceparent,
		Input: &commonv1.Payload{Data: []byte(`{"n": 1}`)},
	}
}

func dial(t *testing.T, server *stub.Server) *flowmesh.Client {
	t.Helper()
	client, err := flowmesh.Dial(t.Context(), server.Address, flowmesh.WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// failures serves the tasks and returns the failure of each by its token.
func failures(t *testing.T, server *stub.Server, w *worker.Worker) map[string]*commonv1.Failure {
	t.Helper()
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(server.Results()) < len(server.Tasks); {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d results", len(server.Results()), len(server.Tasks))
		}
		time.Sleep(time.Millisecond)
	}
	w.Stop()
	found := make(map[string]*commonv1.Failure)
	for _, result := range server.Results() {
		found[result.GetToken()] = result.GetFailure()
	}
	return found
}

type cardDeclined struct{}

func (cardDeclined) Error() string { return "declined" }

func TestTheClassOfAFailureFollowsTheError(t *testing.T) {
	server := (&stub.Server{}).Serve(t)
	w := worker.New(dial(t, server), worker.WithLogger(quiet))
	expected := map[string]string{
		"fine": "", "plain": "Error", "typed": "cardDeclined", "chosen": "Busy", "wrapped": "Busy",
		"final": "NonRetryable", "panic": "Panic", "goexit": "Panic", "timeout": "Timeout",
		"canceled": "Cancelled", "unencodable": "ValidationError", "decoded": "ValidationError", "missing": "HandlerMissing",
	}
	handle := func(name string, function func(context.Context) (any, error)) {
		worker.Handle(w, name, func(ctx context.Context, _ any) (any, error) { return function(ctx) })
	}
	busy := &worker.Failure{Class: "Busy", Message: "later", RetryAfter: time.Second, Details: map[string]int{"n": 1}}
	handle("fine", func(context.Context) (any, error) { return nil, nil })
	handle("plain", func(context.Context) (any, error) { return nil, errors.New("plain") })
	handle("typed", func(context.Context) (any, error) { return nil, cardDeclined{} })
	handle("chosen", func(context.Context) (any, error) { return nil, busy })
	handle("wrapped", func(context.Context) (any, error) { return nil, errors.Join(errors.New("outer"), busy) })
	handle("final", func(context.Context) (any, error) { return nil, worker.NonRetryable(errors.New("no")) })
	handle("panic", func(context.Context) (any, error) { panic(strings.Repeat("x", 100_000)) })
	handle("goexit", func(context.Context) (any, error) { runtime.Goexit(); return nil, nil })
	handle("timeout", func(context.Context) (any, error) { return nil, context.DeadlineExceeded })
	handle("canceled", func(context.Context) (any, error) { return nil, context.Canceled })
	handle("unencodable", func(context.Context) (any, error) { return func() {}, nil })
	worker.Handle(w, "decoded", func(context.Context, int) (any, error) { return nil, nil })
	for name := range expected {
		server.Tasks = append(server.Tasks, task(name, name))
	}
	found := failures(t, server, w)
	for name, class := range expected {
		if found[name].GetClass() != class {
			t.Errorf("%s: %v", name, found[name])
		}
	}
	if found["chosen"].GetRetryAfterMs() != 1000 || string(found["chosen"].GetDetails()) != `{"n":1}` {
		t.Errorf("chosen: %v", found["chosen"])
	}
	var details struct{ Traceback string }
	if err := json.Unmarshal(found["panic"].GetDetails(), &details); err != nil || len(details.Traceback) > 8192 {
		t.Errorf("the stack of a panic: %v, %d bytes", err, len(details.Traceback))
	}
}

func TestCallsOfAHandlerBelongToTheTraceOfItsTask(t *testing.T) {
	server := (&stub.Server{Tasks: []*workerv1.Task{task("t", "calls")}}).Serve(t)
	client := dial(t, server)
	w := worker.New(client)
	worker.Handle(w, "calls", func(ctx context.Context, _ any) (any, error) {
		return flowmesh.Run[any](ctx, client, "other", nil)
	})
	if failure := failures(t, server, w)["t"]; failure != nil {
		t.Fatal(failure)
	}
	if sent := server.Metadata()[0].Get("traceparent"); len(sent) != 1 || sent[0] != traceparent {
		t.Fatal(sent)
	}
}

func TestWhatHeartbeatsRefuse(t *testing.T) {
	server := (&stub.Server{Tasks: []*workerv1.Task{task("t", "beats")}}).Serve(t)
	w := worker.New(dial(t, server))
	var refused []error
	worker.Handle(w, "beats", func(ctx context.Context, _ any) (any, error) {
		refused = []error{
			worker.Heartbeat(ctx, "fine"), worker.Heartbeat(ctx, strings.Repeat("x", 65*1024)),
			worker.Heartbeat(ctx, func() {}), worker.Heartbeat(context.Background(), nil),
		}
		return nil, nil
	})
	failures(t, server, w)
	for index, err := range refused {
		if (err == nil) != (index == 0) {
			t.Errorf("heartbeat %d: %v", index, err)
		}
	}
}

func TestHandlersThatIgnoreTheEndDoNotHoldTheWorker(t *testing.T) {
	server := (&stub.Server{Tasks: []*workerv1.Task{task("a", "stubborn"), task("b", "polite")}}).Serve(t)
	client := dial(t, server)
	before := goleak.IgnoreCurrent()
	w := worker.New(client, worker.DrainFor(50*time.Millisecond), worker.WithLogger(quiet))
	release, causes, began := make(chan struct{}), make(chan error, 1), make(chan struct{}, 2)
	worker.Handle(w, "stubborn", func(context.Context, any) (any, error) {
		began <- struct{}{}
		<-release
		return nil, nil
	})
	worker.Handle(w, "polite", func(ctx context.Context, _ any) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	<-began
	<-began
	stopping := time.Now()
	cancel()
	if err := <-ended; err != nil || time.Since(stopping) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(stopping))
	}
	if cause := <-causes; !errors.Is(cause, worker.ErrStopped) {
		t.Error(cause)
	}
	close(release)
	client.Close()
	goleak.VerifyNone(t, before)
}

func TestWrongWorkersAreRefused(t *testing.T) {
	server := (&stub.Server{}).Serve(t)
	client := dial(t, server)
	if err := worker.New(client).Start(t.Context()); flowmesh.ReasonOf(err) != "HELLO_INVALID" {
		t.Error(err)
	}
	w := worker.New(client, worker.Slots(10_001))
	worker.Handle(w, "a", func(context.Context, any) (any, error) { return nil, nil })
	if err := w.Start(t.Context()); flowmesh.ReasonOf(err) != "HELLO_INVALID" {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second handler was accepted")
		}
	}()
	worker.Handle(w, "a", func(context.Context, any) (any, error) { return nil, nil })
}
