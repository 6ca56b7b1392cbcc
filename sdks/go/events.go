package flowmesh

import (
	"context"
	"iter"
	"strings"
	"time"

	eventv1 "flowmesh.dev/gen/flowmesh/api/event/v1"
	historyv1 "flowmesh.dev/gen/flowmesh/api/history/v1"
	"flowmesh.dev/sdk/internal/core"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Event is an event of an execution's history.
type Event struct {
	// Type is its public name, such as `TaskCompleted`; `Unknown` for one of a
	// newer server.
	Type string
	// Sequence counts from 1 without gap.
	Sequence    int64
	ExecutionID string
	WorkflowID  string
	Node        string
	Attempt     int
	At          time.Time
	// Message has all its data.
	Message *historyv1.HistoryEvent
	// Cursor resumes Client.Events after this event.
	Cursor string

	derived bool
}

// Last reports whether it is the last event of its execution.
func (e Event) Last() bool {
	switch e.Type {
	case "WorkflowCompleted", "WorkflowFailed", "WorkflowCanceled", "WorkflowTerminated", "WorkflowContinued":
		return true
	}
	return false
}

// EventOption selects events of an execution: After, OfTypes.
type EventOption interface{ ofExecution(*watch) }

// AllEventsOption selects events of all executions: OfTypes, OfWorkflow,
// FromCursor.
type AllEventsOption interface{ ofNamespace(*watch) }

type watch struct {
	after    int64
	types    []string
	workflow string
	cursor   string
}

// After begins after the event of a sequence.
func After(sequence int64) EventOption { return after(sequence) }

// OfTypes selects events by their public names; the last one is always sent.
func OfTypes(names ...string) Types { return names }

// OfWorkflow selects the executions of a workflow.
func OfWorkflow(id string) AllEventsOption { return workflow(id) }

// FromCursor resumes Client.Events after the event that had this cursor.
func FromCursor(text string) AllEventsOption { return cursor(text) }

// Types are public names of events, an option of both streams.
type Types []string

type after int64
type workflow string
type cursor string

func (a after) ofExecution(w *watch)     { w.after = int64(a) }
func (t Types) ofExecution(w *watch)     { w.types = t }
func (t Types) ofNamespace(w *watch)     { w.types = t }
func (id workflow) ofNamespace(w *watch) { w.workflow = string(id) }
func (c cursor) ofNamespace(w *watch)    { w.cursor = string(c) }

// Events yields the events of the execution up to its last one, without gap
// or repeat. A broken stream is opened again after the last event received;
// an error is yielded once, at the end.
func (h *Handle) Events(ctx context.Context, options ...EventOption) iter.Seq2[Event, error] {
	var given watch
	for _, option := range options {
		option.ofExecution(&given)
	}
	caller := h.client.caller
	return func(yield func(Event, error) bool) {
		ctx, cancel := caller.Scope(ctx)
		defer cancel()
		position := position{known: given.after, all: len(given.types) == 0}
		reconnect := core.NewReconnect(caller)
		for {
			request := &eventv1.WatchExecutionRequest{
				Namespace: caller.Namespace, ExecutionId: h.id, After: position.known, Types: given.types,
			}
			silent, done, err := h.watchOnce(ctx, request, reconnect, &position, yield)
			if done {
				return
			}
			reconnect.Broken(ctx, err)
			if silent && !reconnect.Refused() {
				// The last event may be known already.
				if execution, err := h.Describe(ctx); err == nil && execution.Status.Ended() && execution.LastSequence <= position.known {
					return
				}
			}
			if reconnect.Hopeless() || reconnect.Pause(ctx) != nil {
				if ctx.Err() != nil {
					err = caller.Translate(ctx, ctx.Err())
				} else {
					err = reconnect.Err()
				}
				yield(Event{}, err)
				return
			}
		}
	}
}

// watchOnce yields the events of one stream; done ends the iteration.
func (h *Handle) watchOnce(
	ctx context.Context, request *eventv1.WatchExecutionRequest, reconnect *core.Reconnect,
	position *position, yield func(Event, error) bool,
) (silent, done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	position.opened()
	reconnect.Opening(ctx)
	stream, err := h.client.events.WatchExecution(ctx, request)
	if err != nil {
		return true, false, err
	}
	for silent = true; ; silent = false {
		response, err := stream.Recv()
		if err != nil {
			return silent, false, err
		}
		reconnect.Connected()
		event := eventOf(response.GetEvent(), "")
		fresh, gap := position.accepts(event)
		if gap {
			// Events are missing: watch again from the last known one.
			return false, false, nil
		}
		if fresh && !yield(event, nil) {
			return false, true, nil
		}
		if event.Last() {
			return false, true, nil
		}
	}
}

// position drops the repeats of streams that were opened again. Derived
// events have the sequence of the event from which they are derived.
type position struct {
	known       int64
	all         bool
	derivedFrom int64
	derivedSeen int
	again       int
}

func (p *position) opened() { p.again = p.derivedSeen }

func (p *position) accepts(event Event) (fresh, gap bool) {
	if event.derived {
		if event.Sequence == p.derivedFrom && p.again > 0 {
			p.again--
			return false, false
		}
		if event.Sequence != p.derivedFrom {
			p.derivedFrom, p.derivedSeen = event.Sequence, 0
		}
		p.derivedSeen++
		p.known = max(p.known, event.Sequence-1)
		return true, false
	}
	if event.Sequence <= p.known {
		return false, false
	}
	if p.all && event.Sequence > p.known+1 {
		return false, true
	}
	p.known = event.Sequence
	return true, false
}

// Events yields the events of all executions of the namespace, from now or
// from a cursor, until ctx ends. A broken stream is opened again after the
// last event received.
func (c *Client) Events(ctx context.Context, options ...AllEventsOption) iter.Seq2[Event, error] {
	var given watch
	for _, option := range options {
		option.ofNamespace(&given)
	}
	return func(yield func(Event, error) bool) {
		ctx, cancel := c.caller.Scope(ctx)
		defer cancel()
		reconnect := core.NewReconnect(c.caller)
		for {
			stopped, err := c.watchAll(ctx, &given, reconnect, yield)
			if stopped {
				return
			}
			reconnect.Broken(ctx, err)
			if reconnect.Hopeless() || reconnect.Pause(ctx) != nil {
				if err = reconnect.Err(); ctx.Err() != nil {
					err = c.caller.Translate(ctx, ctx.Err())
				}
				yield(Event{}, err)
				return
			}
		}
	}
}

func (c *Client) watchAll(
	ctx context.Context, given *watch, reconnect *core.Reconnect, yield func(Event, error) bool,
) (stopped bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reconnect.Opening(ctx)
	stream, err := c.events.WatchEvents(ctx, &eventv1.WatchEventsRequest{
		Namespace: c.caller.Namespace, WorkflowId: given.workflow, Types: given.types, Cursor: given.cursor,
	})
	for err == nil {
		var response *eventv1.WatchEventsResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		reconnect.Connected()
		given.cursor = first(response.GetCursor(), given.cursor)
		if response.GetEvent() != nil && !yield(eventOf(response.GetEvent(), given.cursor), nil) {
			return true, nil
		}
	}
	return false, err
}

func eventOf(message *eventv1.LifecycleEvent, cursor string) Event {
	event := message.GetEvent()
	found := Event{
		Type:        "Unknown",
		Sequence:    event.GetSequence(),
		ExecutionID: message.GetExecutionId(),
		WorkflowID:  message.GetWorkflowId(),
		At:          moment(event.GetAtUs()),
		Message:     event,
		Cursor:      cursor,
	}
	if message.GetSignalFlow() != nil {
		found.Type, found.derived = "SignalFlow", true
		return found
	}
	reflected := event.ProtoReflect()
	field := reflected.WhichOneof(reflected.Descriptor().Oneofs().ByName("event"))
	if field == nil {
		return found
	}
	found.Type = camelCase(string(field.Name()))
	body := reflected.Get(field).Message()
	fields := body.Descriptor().Fields()
	if node := fields.ByName("node"); node != nil && node.Kind() == protoreflect.StringKind {
		found.Node = body.Get(node).String()
	}
	if attempt := fields.ByName("attempt"); attempt != nil && attempt.Kind() == protoreflect.Uint32Kind {
		found.Attempt = int(body.Get(attempt).Uint())
	}
	return found
}

func camelCase(name string) string {
	var text strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		text.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return text.String()
}
