package flowmesh

import (
	"errors"
	"fmt"

	"flowmesh.dev/sdk/internal/core"
)

// Error is the refusal of a call: its kind, and a reason that never changes.
type Error = core.Error

// Violation is one problem of a request that the caller can fix.
type Violation = core.Violation

// Kind is the class of a refusal; errors.Is(err, ErrNotFound) tests for one.
type Kind = core.Kind

// The kinds of refusals.
const (
	// ErrInvalid is a request that is wrong in itself.
	ErrInvalid = core.ErrInvalid
	// ErrUnauthenticated is a missing, wrong or expired credential.
	ErrUnauthenticated = core.ErrUnauthenticated
	// ErrForbidden is a call that the credential does not permit.
	ErrForbidden = core.ErrForbidden
	// ErrNotFound is a workflow, execution or the like that does not exist.
	ErrNotFound = core.ErrNotFound
	// ErrConflict is an id that is in use, with other content.
	ErrConflict = core.ErrConflict
	// ErrWrongState is an action that the present state does not allow.
	ErrWrongState = core.ErrWrongState
	// ErrGone is something that is no longer kept.
	ErrGone = core.ErrGone
	// ErrTooLarge is a value above its limit.
	ErrTooLarge = core.ErrTooLarge
	// ErrOverloaded is a full queue, or a quota that is used up.
	ErrOverloaded = core.ErrOverloaded
	// ErrUnavailable is a server that does not respond, or not now.
	ErrUnavailable = core.ErrUnavailable
	// ErrUnimplemented is a method that the server does not have.
	ErrUnimplemented = core.ErrUnimplemented
	// ErrTimeout is an exceeded deadline.
	ErrTimeout = core.ErrTimeout
	// ErrInternal is a failure of the server, or of a peer.
	ErrInternal = core.ErrInternal
)

// ErrClosed is the error of calls on a closed client or session.
var ErrClosed = core.ErrClosed

// ReasonOf returns the reason of a refusal, such as `WORKFLOW_NOT_FOUND`; ""
// if err is none.
func ReasonOf(err error) string {
	var found *Error
	if errors.As(err, &found) {
		return found.Reason
	}
	return ""
}

// ExecutionError is the end of an execution that did not complete.
type ExecutionError struct {
	ID     string
	Status Status
	// Failure is nil for an execution that was canceled or terminated.
	Failure *Failure
}

// Error implements error.
func (e *ExecutionError) Error() string {
	if e.Failure == nil {
		return fmt.Sprintf("execution %s %s", e.ID, e.Status)
	}
	return fmt.Sprintf("execution %s %s: %s", e.ID, e.Status, e.Failure)
}
