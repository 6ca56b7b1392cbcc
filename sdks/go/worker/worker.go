// Package worker runs the tasks of workflows.
//
//	w := worker.New(client)
//	worker.Handle(w, "charge-card", func(ctx context.Context, order Order) (Receipt, error) { … })
//	err := w.Run(ctx) // until ctx ends, then drains
package worker

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/core"
)

const (
	slotsDefault = 100
	slotsMax     = 10_000
	drainDefault = 10 * time.Second
	// cancelWait bounds the wait for canceled handlers at the end.
	cancelWait = time.Second
)

// Worker runs tasks of the types for which it has handlers.
type Worker struct {
	client   *flowmesh.Client
	options  options
	handlers map[string]handler

	mu     sync.Mutex
	stream *stream
}

// Option configures a worker.
type Option func(*options)

type options struct {
	id     string
	slots  int
	queues []string
	labels map[string]string
	drain  time.Duration
	log    *slog.Logger
	tracer Tracer
}

// Slots sets the number of tasks that run at once, 1 to 10,000; the default
// is 100.
func Slots(count int) Option { return func(o *options) { o.slots = count } }

// Queues sets the queues to serve; the default is `default`.
func Queues(names ...string) Option { return func(o *options) { o.queues = names } }

// Labels sets labels that tasks may require.
func Labels(labels map[string]string) Option { return func(o *options) { o.labels = labels } }

// ID sets the identity of the worker, which no other may have; the default is
// a random one.
func ID(id string) Option { return func(o *options) { o.id = id } }

// DrainFor sets the time that running tasks have at the end; the default is
// 10 s.
func DrainFor(limit time.Duration) Option { return func(o *options) { o.drain = limit } }

// WithLogger sets the logger; the default is slog.Default().
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithTracer sets the tracer of tasks, such as one of OpenTelemetry.
func WithTracer(tracer Tracer) Option { return func(o *options) { o.tracer = tracer } }

// Tracer begins the span of a task, whose parent is task.Traceparent. It
// returns the context of the handler and a function that ends the span.
type Tracer interface {
	Begin(ctx context.Context, task *Task) (context.Context, func(error))
}

// New returns a worker of a client.
func New(client *flowmesh.Client, given ...Option) *Worker {
	chosen := options{slots: slotsDefault, drain: drainDefault, log: slog.Default()}
	for _, option := range given {
		option(&chosen)
	}
	if chosen.id == "" {
		chosen.id = "worker-" + rand.Text()
	}
	return &Worker{client: client, options: chosen, handlers: make(map[string]handler)}
}

// Handle registers the handler of a task type. Its input is decoded from
// JSON, and its output encoded. The context ends when the task is canceled,
// its time is up, or the worker stops; context.Cause tells which. It panics
// if the type has a handler, or the worker has been started.
func Handle[In, Out any](w *Worker, taskType string, function func(context.Context, In) (Out, error)) {
	w.register(taskType, func(ctx context.Context, input []byte) (any, error) {
		var value In
		if err := core.Decode(input, &value); err != nil {
			return nil, &Failure{Class: "ValidationError", Message: "input: " + err.(*core.Error).Message}
		}
		return function(ctx, value)
	})
}

func (w *Worker) register(taskType string, function handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handlers[taskType] != nil {
		panic(fmt.Sprintf("flowmesh: the task type %q has a handler already", taskType))
	}
	if w.stream != nil {
		panic("flowmesh: register handlers before the worker starts")
	}
	w.handlers[taskType] = function
}

// ID returns the identity of the worker.
func (w *Worker) ID() string { return w.options.id }

// Start connects and returns once the server accepts the worker, or with its
// refusal. It gives up after 60 s without a server.
func (w *Worker) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream != nil {
		return core.NewError(flowmesh.ErrInvalid, "HELLO_INVALID", "the worker has been started")
	}
	if len(w.handlers) == 0 {
		return core.NewError(flowmesh.ErrInvalid, "HELLO_INVALID", "a worker needs at least one handler")
	}
	if w.options.slots < 1 || w.options.slots > slotsMax {
		return core.NewError(flowmesh.ErrInvalid, "HELLO_INVALID",
			"slots must be 1 to %d, not %d", slotsMax, w.options.slots)
	}
	opened := newStream(w.client.Caller(), w.options, w.handlers)
	select {
	case <-opened.ready:
		w.stream = opened
		return nil
	case <-opened.ended:
		return opened.err
	case <-ctx.Done():
		opened.stop()
		return fmt.Errorf("flowmesh: %w", context.Cause(ctx))
	}
}

// SetSlots changes the number of tasks that run at once.
func (w *Worker) SetSlots(count int) error {
	if count < 1 || count > slotsMax {
		return core.NewError(flowmesh.ErrInvalid, "HELLO_INVALID", "slots must be 1 to %d, not %d", slotsMax, count)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.options.slots = count
	if w.stream != nil {
		w.stream.setSlots(count)
	}
	return nil
}

// Run runs until ctx ends, and drains; it returns nil then. It returns the
// error of a server that refuses the worker.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	select {
	case <-ctx.Done():
		w.Stop()
		return nil
	case <-w.stream.ended:
		w.Stop()
		return w.stream.err
	}
}

// Stop drains: it accepts no tasks, gives running ones the time of DrainFor,
// cancels the rest and closes the stream. Their contexts end with ErrStopped.
func (w *Worker) Stop() {
	w.mu.Lock()
	opened := w.stream
	w.mu.Unlock()
	if opened != nil {
		opened.drain(w.options.drain)
		opened.stop()
	}
}
