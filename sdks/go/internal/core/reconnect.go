package core

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reconnect decides whether a broken stream is opened again, and when.
type Reconnect struct {
	caller    *Caller
	header    string
	openedAt  time.Time
	downSince time.Time
	last      error
	transient bool
	// moved is true if the last end was that of another cell, which was followed.
	moved bool
}

// NewReconnect returns the policy for one stream.
func NewReconnect(caller *Caller) *Reconnect {
	return &Reconnect{caller: caller, transient: true}
}

// Opening notes an attempt to open the stream.
func (r *Reconnect) Opening(ctx context.Context) {
	r.openedAt = time.Now()
	if r.caller.credential != nil {
		// An error of the token source is that of the stream.
		r.header, _ = r.caller.credential.header(ctx)
	}
}

// Connected notes a received message.
func (r *Reconnect) Connected() {
	r.downSince, r.last, r.transient, r.moved = time.Time{}, nil, true, false
}

// Broken notes the end of the stream; nil and io.EOF are ends without an error.
func (r *Reconnect) Broken(ctx context.Context, err error) {
	if time.Since(r.openedAt) > streamLasted {
		r.downSince = time.Time{}
	}
	if r.downSince.IsZero() {
		r.downSince = time.Now()
	}
	if err == nil || errors.Is(err, io.EOF) {
		return
	}
	r.last = r.caller.Translate(ctx, err)
	var known *Error
	if !errors.As(r.last, &known) {
		r.transient = false
		return
	}
	r.transient = transientCode(status.Code(err)) && known.Reason != "TLS_FAILED"
	if known.Kind == ErrUnauthenticated && r.caller.credential != nil {
		r.transient = r.caller.credential.rejected(ctx, r.header)
	}
	if r.moved {
		r.moved = false
		return
	}
	if r.moved, err = r.caller.followed(r.last); err != nil {
		r.last = err
	}
	r.transient = r.transient || r.moved
}

func transientCode(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Canceled,
		codes.Aborted, codes.Internal, codes.Unknown:
		return true
	}
	return false
}

// Refused reports whether the server would refuse the stream again.
func (r *Reconnect) Refused() bool { return !r.transient }

// Hopeless reports whether the stream was refused or is down for too long.
func (r *Reconnect) Hopeless() bool {
	return r.Refused() || r.down() > reconnectBudget
}

func (r *Reconnect) down() time.Duration {
	if r.downSince.IsZero() {
		return 0
	}
	return time.Since(r.downSince)
}

// Err returns the error of a stream that is given up.
func (r *Reconnect) Err() error {
	if r.last != nil {
		return r.last
	}
	return NewError(ErrUnavailable, "SERVICE_UNAVAILABLE", "the server closed the stream and does not respond")
}

// Pause waits before the next attempt.
func (r *Reconnect) Pause(ctx context.Context) error {
	return sleep(ctx, min(max(r.down()/10, streamRetryMin), streamRetryMax))
}
