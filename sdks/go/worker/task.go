package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/core"
)

const (
	stackBytesMax     = 8 * 1024
	messageBytesMax   = 4096
	heartbeatBytesMax = 64 * 1024
)

// The causes for which the context of a handler ends, beside its deadline.
var (
	// ErrCanceled is the cancellation of the task.
	ErrCanceled = errors.New("flowmesh: the task was canceled")
	// ErrStopped is the end of the worker.
	ErrStopped = errors.New("flowmesh: the worker stops")
)

// Task has the facts of the task that a handler runs.
type Task struct {
	// IdempotencyKey is the same on all attempts; pass it to the services that
	// the handler calls.
	IdempotencyKey string
	// Attempt counts from 1.
	Attempt     int
	ExecutionID string
	WorkflowID  string
	Namespace   string
	Node        string
	TaskType    string
	Queue       string
	// Traceparent is the W3C trace context of the execution.
	Traceparent string
	// Timeout is the time limit of the attempt; 0 is none.
	Timeout time.Duration
	// Config is the configuration of the task type, as in its definition.
	Config json.RawMessage

	token  string
	stream *stream
}

type taskKey struct{}

// TaskOf returns the task of a handler's context; nil outside of one.
func TaskOf(ctx context.Context) *Task {
	task, _ := ctx.Value(taskKey{}).(*Task)
	return task
}

// Heartbeat reports that the task is alive, with details of at most 64 KiB;
// the newest are shown. It returns the cause once the task is not wanted.
func Heartbeat(ctx context.Context, details any) error {
	task := TaskOf(ctx)
	if task == nil {
		return errors.New("flowmesh: Heartbeat needs the context of a handler")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var data []byte
	if details != nil {
		var err error
		if data, err = core.Encode(details); err != nil {
			return err
		}
	}
	if len(data) > heartbeatBytesMax {
		return core.NewError(flowmesh.ErrTooLarge, "PAYLOAD_TOO_LARGE",
			"the details of a heartbeat have %d bytes; the limit is %d", len(data), heartbeatBytesMax)
	}
	task.stream.heartbeat(task.token, data)
	return nil
}

// Failure is the error of a handler that chooses the class on which retry
// policies decide.
type Failure struct {
	Class   string
	Message string
	// RetryAfter is the least delay before the next attempt.
	RetryAfter time.Duration
	// Details is any JSON value.
	Details any
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Message == "" {
		return f.Class
	}
	return f.Class + ": " + f.Message
}

// NonRetryable returns an error of class `NonRetryable`, which the default
// policy does not retry.
func NonRetryable(err error) error {
	return &Failure{Class: "NonRetryable", Message: err.Error()}
}

type handler func(ctx context.Context, input []byte) (any, error)

// panicked is a recovered panic.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

// guarded calls a handler and recovers its panic.
func guarded(ctx context.Context, function handler, input []byte) (output any, err error) {
	defer func() {
		if value := recover(); value != nil {
			output, err = nil, &panicked{value, debug.Stack()}
		}
	}()
	return function(ctx, input)
}

func failed(token, class, message string) *workerv1.TaskResult {
	failure := &commonv1.Failure{Class: text(class, messageBytesMax), Message: text(message, messageBytesMax)}
	return &workerv1.TaskResult{Token: token, Outcome: &workerv1.TaskResult_Failure{Failure: failure}}
}

// resultOf returns the result of an error of a handler.
func resultOf(ctx context.Context, token string, err error) *workerv1.TaskResult {
	var failure *Failure
	var panicking *panicked
	var refused *flowmesh.Error
	switch {
	case errors.As(err, &panicking):
		result := failed(token, "Panic", panicking.Error())
		stack := text(string(panicking.stack), stackBytesMax)
		// A text is always JSON.
		result.GetFailure().Details, _ = json.Marshal(map[string]string{"traceback": stack})
		return result
	case errors.As(err, &failure):
		return resultOfFailure(token, failure, err)
	case errors.Is(err, context.DeadlineExceeded):
		return failed(token, "Timeout", err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, ErrCanceled), errors.Is(err, ErrStopped):
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return failed(token, "Timeout", err.Error())
		}
		return failed(token, "Cancelled", err.Error())
	case errors.As(err, &refused):
		return failed(token, string(refused.Kind), err.Error())
	}
	return failed(token, className(err), err.Error())
}

func resultOfFailure(token string, failure *Failure, err error) *workerv1.TaskResult {
	message := failure.Message
	if outer := err.Error(); outer != failure.Error() {
		message = outer // it was wrapped
	}
	if message == "" {
		message = failure.Class
	}
	result := failed(token, failure.Class, message)
	if failure.Details != nil {
		details, err := core.Encode(failure.Details)
		if err != nil {
			return failed(token, "ValidationError", "details of a failure: "+err.Error())
		}
		if len(details) <= core.InlineBytesMax {
			result.GetFailure().Details = details
		} else {
			result.GetFailure().Message = text(fmt.Sprintf("%s: its details have %d bytes, more than the limit of 256 KiB",
				message, len(details)), messageBytesMax)
		}
	}
	result.GetFailure().RetryAfterMs = failure.RetryAfter.Milliseconds()
	return result
}

// className returns the name of an error's type, or `Error` for those of
// errors.New and fmt.Errorf.
func className(err error) string {
	kind := reflect.TypeOf(err)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch kind.Name() {
	case "", "errorString", "wrapError", "joinError", "wrapErrors":
		return "Error"
	}
	return kind.Name()
}

// text returns valid UTF-8 of at most a number of bytes.
func text(given string, most int) string {
	given = strings.ReplaceAll(strings.ToValidUTF8(given, "?"), "\x00", "?")
	if len(given) <= most {
		return given
	}
	for most > 0 && !utf8.RuneStart(given[most]) {
		most--
	}
	return given[:most]
}

// transferFailed returns the result for a value that could not be fetched,
// stored or encoded.
func transferFailed(token, field string, err error) *workerv1.TaskResult {
	var refused *flowmesh.Error
	class, message := "ValidationError", err.Error()
	if errors.As(err, &refused) {
		message = refused.Message
		if refused.Kind == flowmesh.ErrUnavailable || refused.Kind == flowmesh.ErrTimeout {
			class = "NetworkError"
		}
	} else if errors.Is(err, context.Canceled) || errors.Is(err, ErrCanceled) || errors.Is(err, ErrStopped) {
		class = "Cancelled"
	}
	return failed(token, class, field+": "+message)
}
