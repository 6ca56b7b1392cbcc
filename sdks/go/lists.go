package flowmesh

import (
	"context"
	"iter"
	"strings"
	"time"

	definitionv1 "flowmesh.dev/gen/flowmesh/api/definition/v1"
	eventv1 "flowmesh.dev/gen/flowmesh/api/event/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	historyv1 "flowmesh.dev/gen/flowmesh/api/history/v1"
	"flowmesh.dev/sdk/internal/core"
)

// ListOption selects and orders executions.
type ListOption func(*executionv1.ListExecutionsRequest)

// WorkflowIs selects the executions of a workflow.
func WorkflowIs(id string) ListOption {
	return func(r *executionv1.ListExecutionsRequest) { r.WorkflowId = id }
}

// StatusIn selects executions by their status.
func StatusIn(statuses ...Status) ListOption {
	return func(r *executionv1.ListExecutionsRequest) {
		for _, status := range statuses {
			// An unknown word becomes a number that the server refuses.
			number, ok := executionv1.ExecutionStatus_value["EXECUTION_STATUS_"+strings.ToUpper(string(status))]
			if !ok {
				number = -1
			}
			r.Statuses = append(r.Statuses, executionv1.ExecutionStatus(number))
		}
	}
}

// StartedBetween selects by the time of the start; a zero time is no limit.
func StartedBetween(from, to time.Time) ListOption {
	return func(r *executionv1.ListExecutionsRequest) {
		if !from.IsZero() {
			r.StartedAfterUs = from.UnixMicro()
		}
		if !to.IsZero() {
			r.StartedBeforeUs = to.UnixMicro()
		}
	}
}

// Matching selects by a filter, such as `workflow = "order" AND label.shop = "x"`.
func Matching(filter string) ListOption {
	return func(r *executionv1.ListExecutionsRequest) { r.Filter = filter }
}

// OrderBy sets the order; the default is `started desc`.
func OrderBy(order string) ListOption {
	return func(r *executionv1.ListExecutionsRequest) { r.OrderBy = order }
}

// PageSize sets the number of executions per call, at most 1,000.
func PageSize(size int) ListOption {
	return func(r *executionv1.ListExecutionsRequest) { r.PageSize = uint32(size) }
}

// List yields executions page by page, without their nodes, inputs and
// outputs, the newest first. An error is yielded once, at the end.
func (c *Client) List(ctx context.Context, options ...ListOption) iter.Seq2[*Execution, error] {
	return func(yield func(*Execution, error) bool) {
		request := &executionv1.ListExecutionsRequest{Namespace: c.caller.Namespace}
		for _, option := range options {
			option(request)
		}
		for {
			response, err := core.Call(ctx, c.caller, c.executions.ListExecutions, request)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, each := range response.GetExecutions() {
				c.caller.Open(each)
				if !yield(executionOf(each), nil) {
					return
				}
			}
			if request.PageToken = response.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

// History yields the stored events of the execution, after a sequence.
func (h *Handle) History(ctx context.Context, after int64) iter.Seq2[Event, error] {
	caller := h.client.caller
	return func(yield func(Event, error) bool) {
		histories := historyv1.NewHistoryServiceClient(caller)
		workflow := ""
		for {
			request := &historyv1.ListHistoryEventsRequest{Namespace: caller.Namespace, ExecutionId: h.id, After: after}
			response, err := core.Call(ctx, caller, histories.ListHistoryEvents, request)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, each := range response.GetEvents() {
				workflow = first(each.GetWorkflowStarted().GetWorkflowId(), workflow)
				event := &eventv1.LifecycleEvent{ExecutionId: h.id, WorkflowId: workflow, Event: each}
				if !yield(eventOf(event, ""), nil) {
					return
				}
			}
			if after = response.GetNextAfter(); after == 0 {
				return
			}
		}
	}
}

// Resource is an applied workflow or task.
type Resource struct {
	// Kind is `Workflow` or `WorkflowTask`.
	Kind    string
	Name    string
	Version int
	Digest  string
	// Created is false if the newest version had the same content.
	Created bool
}

// Apply registers all workflows and tasks of a source in YAML or JSON, or
// none. A wrong one is an *Error with a Violation for each problem, with its
// line and column.
func (c *Client) Apply(ctx context.Context, source []byte) ([]Resource, error) {
	request := &definitionv1.ApplyRequest{
		Namespace: c.caller.Namespace, Source: source, RequestId: newRequestID(), Actor: c.caller.Actor,
	}
	definitions := definitionv1.NewDefinitionServiceClient(c.caller)
	response, err := core.Call(ctx, c.caller, definitions.Apply, request)
	if err != nil {
		return nil, err
	}
	var found []Resource
	for _, each := range response.GetResources() {
		found = append(found, Resource{
			each.GetKind(), each.GetName(), int(each.GetVersion()), each.GetDigest(), each.GetCreated(),
		})
	}
	return found, nil
}

// Store stores a value of up to 64 MiB and returns its reference. Start,
// Signal and handlers do so themselves with values above 256 KiB.
func (c *Client) Store(ctx context.Context, value any) (Value, error) {
	data, err := c.caller.Encoded(value)
	if err != nil {
		return Value{}, err
	}
	payload, err := c.caller.Put(ctx, data, "")
	if err != nil {
		return Value{}, err
	}
	return Value{Digest: payload.GetReference().GetDigest(), Size: payload.GetReference().GetSizeBytes()}, nil
}

// Fetch decodes a value; a stored one is read, and its digest checked.
func (c *Client) Fetch(ctx context.Context, value Value, into any) error {
	if value.Digest == "" {
		return value.Decode(into)
	}
	data, err := c.caller.Fetch(ctx, value.Digest)
	if err != nil {
		return err
	}
	return core.Decode(data, into)
}
