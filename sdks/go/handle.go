package flowmesh

import (
	"context"
	"sync"

	controlv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk/internal/core"
)

// Handle is one execution by its id. It holds no connection open.
type Handle struct {
	client  *Client
	id      string
	created bool

	mu    sync.Mutex
	ended *controlv1.Execution
}

// ID returns the id of the execution.
func (h *Handle) ID() string { return h.id }

// Created is false if an earlier call with the same request id has started
// the execution.
func (h *Handle) Created() bool { return h.created }

// Describe returns the last committed state, with all nodes.
func (h *Handle) Describe(ctx context.Context) (*Execution, error) {
	request := &controlv1.GetExecutionRequest{Namespace: h.client.caller.Namespace, ExecutionId: h.id}
	response, err := core.Call(ctx, h.client.caller, h.client.executions.GetExecution, request)
	if err != nil {
		return nil, err
	}
	h.client.caller.Open(response.GetExecution())
	return executionOf(response.GetExecution()), nil
}

// Outputs returns the outputs of the completed nodes; large ones are fetched.
func (h *Handle) Outputs(ctx context.Context) (map[string]Value, error) {
	execution, err := h.Describe(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Value)
	for _, node := range execution.Nodes {
		if node.Status != "completed" {
			continue
		}
		value := node.Output
		if value.Digest != "" {
			data, err := h.client.caller.Fetch(ctx, value.Digest)
			if err != nil {
				return nil, err
			}
			value = Value{JSON: data, Size: value.Size}
		}
		found[node.ID] = value
	}
	return found, nil
}

// EndOption configures Cancel and Terminate: ChangeID, Reason, Compensate.
type EndOption interface{ change(*change) }

// PauseOption configures Pause and Resume: ChangeID, Reason.
type PauseOption interface {
	EndOption
	ofPause()
}

// SignalOption configures Signal: ChangeID.
type SignalOption interface {
	PauseOption
	ofSignal()
}

type change struct {
	requestID, reason string
	compensate        *bool
}

// Reason is recorded with the change.
func Reason(text string) PauseOption { return reason(text) }

// ChangeID makes a change idempotent: a repeated one returns the first
// response. The default is a new random id.
func ChangeID(requestID string) SignalOption { return changeID(requestID) }

// Compensate decides whether Cancel and Terminate undo completed nodes first;
// the default follows the workflow.
func Compensate(yes bool) EndOption { return compensate(yes) }

type reason string
type changeID string
type compensate bool

func (r reason) change(c *change)       { c.reason = string(r) }
func (id changeID) change(c *change)    { c.requestID = string(id) }
func (yes compensate) change(c *change) { c.compensate = (*bool)(&yes) }
func (reason) ofPause()                 {}
func (changeID) ofPause()               {}
func (changeID) ofSignal()              {}

func changed[O EndOption](options []O) change {
	var found change
	for _, option := range options {
		option.change(&found)
	}
	if found.requestID == "" {
		found.requestID = newRequestID()
	}
	return found
}

// Signal sends a signal and returns the sequence of its event.
func (h *Handle) Signal(ctx context.Context, name string, payload any, options ...SignalOption) (int64, error) {
	packed, err := h.client.caller.Pack(ctx, payload)
	if err != nil {
		return 0, err
	}
	given := changed(options)
	request := &controlv1.SignalExecutionRequest{
		Namespace:   h.client.caller.Namespace,
		ExecutionId: h.id,
		Name:        name,
		Payload:     packed,
		RequestId:   given.requestID,
		Actor:       h.client.caller.Actor,
	}
	response, err := core.Call(ctx, h.client.caller, h.client.executions.SignalExecution, request)
	return response.GetSequence(), err
}

// Cancel cancels the execution: its tasks are canceled and none starts.
func (h *Handle) Cancel(ctx context.Context, options ...EndOption) error {
	given, caller := changed(options), h.client.caller
	_, err := core.Call(ctx, caller, h.client.executions.CancelExecution, &controlv1.CancelExecutionRequest{
		Namespace: caller.Namespace, ExecutionId: h.id, Reason: given.reason,
		RequestId: given.requestID, Actor: caller.Actor, Compensate: given.compensate,
	})
	return err
}

// Terminate ends the execution; completed nodes are undone only if the
// workflow or Compensate asks for it.
func (h *Handle) Terminate(ctx context.Context, options ...EndOption) error {
	given, caller := changed(options), h.client.caller
	_, err := core.Call(ctx, caller, h.client.executions.TerminateExecution, &controlv1.TerminateExecutionRequest{
		Namespace: caller.Namespace, ExecutionId: h.id, Reason: given.reason,
		RequestId: given.requestID, Actor: caller.Actor, Compensate: given.compensate,
	})
	return err
}

// Pause pauses the execution: no task starts, running ones continue.
func (h *Handle) Pause(ctx context.Context, options ...PauseOption) error {
	given, caller := changed(options), h.client.caller
	_, err := core.Call(ctx, caller, h.client.executions.PauseExecution, &controlv1.PauseExecutionRequest{
		Namespace: caller.Namespace, ExecutionId: h.id, Reason: given.reason,
		RequestId: given.requestID, Actor: caller.Actor,
	})
	return err
}

// Resume resumes a paused execution.
func (h *Handle) Resume(ctx context.Context, options ...PauseOption) error {
	given, caller := changed(options), h.client.caller
	_, err := core.Call(ctx, caller, h.client.executions.ResumeExecution, &controlv1.ResumeExecutionRequest{
		Namespace: caller.Namespace, ExecutionId: h.id, Reason: given.reason,
		RequestId: given.requestID, Actor: caller.Actor,
	})
	return err
}
