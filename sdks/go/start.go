package flowmesh

import (
	"context"
	"errors"
	"time"

	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk/internal/core"
)

// waitMax is the longest wait of one call; a shorter one finds a lost server
// sooner than the five minutes that servers accept.
const waitMax = 30 * time.Second

// StartOption configures the start of an execution.
type StartOption func(*executionv1.StartExecutionRequest)

// RequestID makes a start idempotent: a repeated one returns the execution
// that the first has started. The default is a new random id.
func RequestID(id string) StartOption {
	return func(r *executionv1.StartExecutionRequest) { r.RequestId = id }
}

// Version starts a version of the workflow; the default is the newest.
func Version(number int) StartOption {
	return func(r *executionv1.StartExecutionRequest) { r.Version = uint32(number) }
}

// VersionLabel starts the version that has a label.
func VersionLabel(label string) StartOption {
	return func(r *executionv1.StartExecutionRequest) { r.VersionLabel = label }
}

// Labels sets labels by which the execution is found.
func Labels(labels map[string]string) StartOption {
	return func(r *executionv1.StartExecutionRequest) { r.Labels = labels }
}

// Permissions sets the permissions of the starter, which tasks may require.
func Permissions(ids ...string) StartOption {
	return func(r *executionv1.StartExecutionRequest) { r.Permissions = ids }
}

// Start starts an execution of a workflow. It is durable once Start returns.
func (c *Client) Start(ctx context.Context, workflow string, input any, options ...StartOption) (*Handle, error) {
	return c.StartAndWait(ctx, workflow, input, 0, options...)
}

// StartAndWait waits at most this long for the end; the handle then has the
// result.
func (c *Client) StartAndWait(ctx context.Context, workflow string, input any, wait time.Duration, options ...StartOption) (*Handle, error) {
	request, err := c.startRequest(ctx, workflow, input, options)
	if err != nil {
		return nil, err
	}
	request.WaitMs = wait.Milliseconds()
	return c.started(ctx, request)
}

func (c *Client) startRequest(ctx context.Context, workflow string, input any, options []StartOption) (*executionv1.StartExecutionRequest, error) {
	payload, err := c.caller.Pack(ctx, input)
	if err != nil {
		return nil, err
	}
	request := &executionv1.StartExecutionRequest{
		Namespace:  c.caller.Namespace,
		WorkflowId: workflow,
		Input:      payload,
		Actor:      c.caller.Actor,
	}
	for _, option := range options {
		option(request)
	}
	if request.RequestId == "" {
		request.RequestId = newRequestID()
	}
	return request, nil
}

func (c *Client) started(ctx context.Context, request *executionv1.StartExecutionRequest) (*Handle, error) {
	timeout := core.CallTimeout + time.Duration(request.WaitMs)*time.Millisecond
	response, err := core.CallFor(ctx, c.caller, timeout, c.executions.StartExecution, request)
	if err != nil {
		return nil, err
	}
	return &Handle{
		client:  c,
		id:      response.GetExecutionId(),
		created: response.GetCreated(),
		ended:   response.GetExecution(),
	}, nil
}

// Handle returns the handle of an execution that exists, without a call.
func (c *Client) Handle(id string) *Handle { return &Handle{client: c, id: id, created: false} }

// Run starts an execution, waits for its end and returns its output. The wait
// ends with ctx; the execution then runs on.
func Run[Out any](ctx context.Context, client *Client, workflow string, input any, options ...StartOption) (Out, error) {
	wait := waitMax
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(0, min(wait, time.Until(deadline)))
	}
	var none Out
	request, err := client.startRequest(ctx, workflow, input, options)
	if err != nil {
		return none, err
	}
	request.WithoutNodes, request.WaitMs = true, wait.Milliseconds()
	handle, err := client.started(ctx, request)
	if err != nil {
		return none, err
	}
	return Result[Out](ctx, handle)
}

// Result waits for the end of an execution and returns its output. An
// execution that did not complete is an *ExecutionError.
func Result[Out any](ctx context.Context, handle *Handle) (Out, error) {
	var output Out
	err := handle.Result(ctx, &output)
	return output, err
}

// Result waits for the end and decodes the output into a pointer. An
// execution that did not complete is an *ExecutionError.
func (h *Handle) Result(ctx context.Context, into any) error {
	message, err := h.wait(ctx)
	if err != nil {
		return err
	}
	if status := statusOf(message.GetStatus()); status != Completed {
		return &ExecutionError{h.id, status, failureOf(message.GetFailure())}
	}
	if message.GetErasure() != nil {
		return core.NewError(ErrWrongState, "PAYLOAD_ERASED", "the values of %s were erased on request", h.id)
	}
	data, err := h.client.caller.Unpack(ctx, message.GetOutput())
	if err != nil {
		return err
	}
	return core.Decode(data, into)
}

// Wait waits for the end and returns the execution, whatever its status.
func (h *Handle) Wait(ctx context.Context) (*Execution, error) {
	message, err := h.wait(ctx)
	if err != nil {
		return nil, err
	}
	return executionOf(message), nil
}

func (h *Handle) wait(ctx context.Context) (*executionv1.Execution, error) {
	h.mu.Lock()
	ended := h.ended
	h.mu.Unlock()
	for ended == nil {
		wait := waitMax
		if deadline, ok := ctx.Deadline(); ok {
			// The server ends the wait a little before the deadline does.
			wait = max(time.Millisecond, min(wait, time.Until(deadline)-20*time.Millisecond))
		}
		request := &executionv1.WaitExecutionRequest{
			Namespace:   h.client.caller.Namespace,
			ExecutionId: h.id,
			TimeoutMs:   wait.Milliseconds(),
		}
		response, err := core.CallFor(ctx, h.client.caller, wait+core.CallTimeout, h.client.executions.WaitExecution, request)
		if err != nil {
			return nil, h.stillRuns(err)
		}
		ended = response.GetExecution()
		h.client.caller.Open(ended)
		if deadline, ok := ctx.Deadline(); ok && ended == nil && time.Until(deadline) < 20*time.Millisecond {
			return nil, h.stillRuns(context.DeadlineExceeded)
		}
	}
	h.mu.Lock()
	h.ended = ended
	h.mu.Unlock()
	return ended, nil
}

// stillRuns names the execution in the error of a deadline.
func (h *Handle) stillRuns(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return core.NewError(ErrTimeout, "SYNC_TIMEOUT", "execution %s is still running", h.id).WithCause(context.DeadlineExceeded)
}
