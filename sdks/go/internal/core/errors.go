package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kind is the class of a refusal. A Kind is an error itself, so that
// errors.Is(err, ErrNotFound) reports whether err is of this class.
type Kind string

// The kinds of refusals.
const (
	ErrInvalid         Kind = "Invalid"
	ErrUnauthenticated Kind = "Unauthenticated"
	ErrForbidden       Kind = "Forbidden"
	ErrNotFound        Kind = "NotFound"
	ErrConflict        Kind = "Conflict"
	ErrWrongState      Kind = "WrongState"
	ErrGone            Kind = "Gone"
	ErrTooLarge        Kind = "TooLarge"
	ErrOverloaded      Kind = "Overloaded"
	ErrUnavailable     Kind = "Unavailable"
	ErrUnimplemented   Kind = "Unimplemented"
	ErrTimeout         Kind = "Timeout"
	ErrInternal        Kind = "Internal"
)

// Error implements error.
func (k Kind) Error() string { return string(k) }

// Violation is one problem of a request that the caller can fix. Line and
// Column count from 1; 0 is unknown.
type Violation struct {
	Field       string
	Description string
	Code        string
	Line        int
	Column      int
}

// Error is a refusal with a reason that never changes.
type Error struct {
	Kind       Kind
	Reason     string
	Message    string
	Violations []Violation
	// RetryAfter is the delay that the server asks for; 0 is none.
	RetryAfter time.Duration

	// cell is the address of the cell that serves a call that another one refused.
	cell        string
	unreachable bool
	cause       error
}

// Error implements error.
func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// Is reports whether target is the kind of the error.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// Unwrap returns the error that caused this one, such as that of a context.
func (e *Error) Unwrap() error { return e.cause }

// NewError returns an error of the SDK itself.
func NewError(kind Kind, reason, format string, arguments ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Message: fmt.Sprintf(format, arguments...)}
}

// WithCause returns the error with a cause.
func (e *Error) WithCause(cause error) *Error {
	e.cause = cause
	return e
}

// ErrClosed is returned by calls after the close of a client.
var ErrClosed = errors.New("flowmesh: the client is closed")

type codeKind struct {
	kind   Kind
	reason string
}

var byCode = map[codes.Code]codeKind{
	codes.InvalidArgument:    {ErrInvalid, "REQUEST_INVALID"},
	codes.Unauthenticated:    {ErrUnauthenticated, "UNAUTHENTICATED"},
	codes.PermissionDenied:   {ErrForbidden, "FORBIDDEN"},
	codes.NotFound:           {ErrNotFound, "NOT_FOUND"},
	codes.AlreadyExists:      {ErrConflict, "ALREADY_EXISTS"},
	codes.FailedPrecondition: {ErrWrongState, "FAILED_PRECONDITION"},
	codes.OutOfRange:         {ErrGone, "OUT_OF_RANGE"},
	codes.ResourceExhausted:  {ErrOverloaded, "OVERLOADED"},
	codes.Unavailable:        {ErrUnavailable, "SERVICE_UNAVAILABLE"},
	codes.Canceled:           {ErrUnavailable, "SERVICE_UNAVAILABLE"},
	codes.DeadlineExceeded:   {ErrTimeout, "DEADLINE_EXCEEDED"},
	codes.Unimplemented:      {ErrUnimplemented, "UNIMPLEMENTED"},
}

// reasonMisdirected is that of a call that another cell serves.
const reasonMisdirected = "CELL_MISDIRECTED"

// KindOf returns the kind of a reason that a server sent with a code.
func KindOf(code codes.Code, reason string) Kind {
	if strings.HasSuffix(reason, "_TOO_LARGE") {
		return ErrTooLarge
	}
	if found, ok := byCode[code]; ok {
		return found.kind
	}
	return ErrInternal
}

// translate returns the error of a failed call: that of the context if it
// has ended, else an *Error.
func translate(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	var known *Error
	if errors.As(err, &known) || errors.Is(err, ErrClosed) {
		return err
	}
	found, ok := status.FromError(err)
	if !ok {
		return err
	}
	if fromServer := withDetails(found); fromServer != nil {
		return fromServer
	}
	if strings.Contains(found.Message(), "larger than max") {
		return NewError(ErrTooLarge, "PAYLOAD_TOO_LARGE", "the message exceeds a limit: %s", found.Message())
	}
	kind, ok := byCode[found.Code()]
	if !ok {
		kind = codeKind{ErrInternal, "INTERNAL"}
	}
	result := NewError(kind.kind, kind.reason, "%s", found.Message())
	// The server may notice the deadline before the clock of the context does.
	if found.Code() == codes.DeadlineExceeded {
		return result.WithCause(context.DeadlineExceeded)
	}
	if found.Code() == codes.Unavailable {
		result.unreachable = true
		result.RetryAfter = unreachableRetry
	}
	return result
}

func contextError(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrClosed) {
		return ErrClosed
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return NewError(ErrTimeout, "DEADLINE_EXCEEDED", "the deadline of the call was exceeded").WithCause(cause)
	}
	return fmt.Errorf("flowmesh: %w", cause)
}

func withDetails(found *status.Status) *Error {
	result := &Error{Message: found.Message()}
	var places []struct {
		Code         string
		Line, Column int
	}
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.Reason = detail.GetReason()
			// Places that cannot be read are left out.
			_ = json.Unmarshal([]byte(detail.GetMetadata()["violations"]), &places)
			if result.Reason == reasonMisdirected {
				result.cell = detail.GetMetadata()["address"]
			}
		case *errdetails.RetryInfo:
			result.RetryAfter = detail.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				result.Violations = append(result.Violations,
					Violation{Field: each.GetField(), Description: each.GetDescription()})
			}
		}
	}
	if result.Reason == "" {
		return nil
	}
	for index := range min(len(places), len(result.Violations)) {
		place := places[index]
		violation := &result.Violations[index]
		violation.Code, violation.Line, violation.Column = place.Code, place.Line, place.Column
	}
	result.Kind = KindOf(found.Code(), result.Reason)
	return result
}

// Refused returns the error of a start that a session refused.
func Refused(code int32, reason, message string, retryAfter time.Duration) *Error {
	kind := KindOf(codes.Code(code), reason)
	return &Error{Kind: kind, Reason: reason, Message: message, RetryAfter: retryAfter}
}
