package worker

import (
	"context"
	"time"

	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"flowmesh.dev/sdk/internal/core"
)

// accept starts a task.
func (s *stream) accept(message *workerv1.Task) {
	token := message.GetToken()
	function := s.handlers[message.GetTaskType()]
	if function == nil {
		s.queue(failed(token, "HandlerMissing", "this worker has no handler for "+message.GetTaskType()))
		return
	}
	if message.GetJournal() != nil {
		s.queue(failed(token, "Unsupported", "this SDK runs no durable handlers; use a worker in Python"))
		return
	}
	task := &Task{
		IdempotencyKey: message.GetIdempotencyKey(),
		Attempt:        int(message.GetAttempt()),
		ExecutionID:    message.GetExecutionId(),
		WorkflowID:     message.GetWorkflowId(),
		Namespace:      message.GetNamespace(),
		Node:           message.GetNode(),
		TaskType:       message.GetTaskType(),
		Queue:          message.GetQueue(),
		Traceparent:    message.GetTraceparent(),
		Timeout:        time.Duration(message.GetTimeoutMs()) * time.Millisecond,
		token:          token,
		stream:         s,
	}
	if found := s.specs[message.GetSpecDigest()]; found != nil {
		task.Config = found.config
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), taskKey{}, task))
	s.running[token] = cancel
	s.tasks.Go(func() {
		defer cancel(context.Canceled)
		s.runTask(ctx, task, message, function)
	})
}

func (s *stream) runTask(ctx context.Context, task *Task, message *workerv1.Task, function handler) {
	if task.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, task.Timeout)
		defer cancel()
		ctx = limited
	}
	ctx = core.WithTraceparent(ctx, task.Traceparent)
	end := func(error) {}
	if s.options.tracer != nil {
		ctx, end = s.options.tracer.Begin(ctx, task)
	}
	// The result of a handler that ends its goroutine.
	result := failed(task.token, "Panic", "the handler ended its goroutine")
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, task.token)
		delete(s.heartbeats, task.token)
		s.queue(result)
	}()
	var err error
	result, err = s.outcome(ctx, task, message, function)
	end(err)
	if err != nil && ctx.Err() == nil {
		s.options.log.Warn("flowmesh: the attempt failed", "node", task.Node, "execution", task.ExecutionID,
			"attempt", task.Attempt, "class", result.GetFailure().GetClass(), "error", err)
	}
}

// outcome runs the handler; the error is that of a failed attempt.
func (s *stream) outcome(ctx context.Context, task *Task, message *workerv1.Task, function handler) (*workerv1.TaskResult, error) {
	input, err := s.caller.Unpack(ctx, message.GetInput())
	if err != nil {
		return transferFailed(task.token, "input", err), err
	}
	output, err := guarded(ctx, function, input)
	if err != nil {
		return resultOf(ctx, task.token, err), err
	}
	payload, err := s.caller.Pack(ctx, output)
	if err != nil {
		return transferFailed(task.token, "output", err), err
	}
	return &workerv1.TaskResult{Token: task.token, Outcome: &workerv1.TaskResult_Output{Output: payload}}, nil
}
