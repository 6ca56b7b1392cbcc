package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	identityv1 "flowmesh.dev/gen/flowmesh/api/identity/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

var connectParams = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
	MinConnectTimeout: 2 * time.Second,
}

// Caller makes the calls of a client, with deadlines, bounded retries and
// translated errors. Every call can be retried: a read has no effect, and a
// change carries a request id that all its retries share.
type Caller struct {
	*Pool
	Namespace string
	Actor     string
	Log       *slog.Logger
	// Codec seals and opens values; nil leaves them as they are.
	Codec Codec

	budget retryBudget
}

// Ready waits for the server.
func (c *Caller) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	c.mu.Lock()
	first := c.connections[0]
	c.mu.Unlock()
	for {
		first.Connect()
		state := first.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if state == connectivity.Shutdown {
			return ErrClosed
		}
		if !first.WaitForStateChange(ctx, state) {
			return c.unreachable(ctx)
		}
	}
}

// unreachable describes the failure of the connection by that of a call.
func (c *Caller) unreachable(ctx context.Context) error {
	cause := "no server responds"
	probe, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := identityv1.NewAuthServiceClient(c.connections[0]).ListSigningKeys(probe, &identityv1.ListSigningKeysRequest{})
	if err != nil && strings.Contains(err.Error(), "handshake failed") {
		return c.explained(translate(probe, err))
	}
	return NewError(ErrUnavailable, "SERVICE_UNAVAILABLE",
		"%s at %s within %s; `flowmesh dev` starts a suite", cause, c.Address(), ConnectTimeout)
}

// explained adds the address or the credential that an error is about.
func (c *Caller) explained(err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	switch {
	case known.unreachable && strings.Contains(known.Message, "authentication handshake failed"):
		return NewError(ErrWrongState, "TLS_FAILED",
			"the TLS handshake with %s failed: %s", c.Address(), known.Message)
	case known.unreachable:
		known.Message = fmt.Sprintf("no server responds at %s; `flowmesh dev` starts a suite (%s)", c.Address(), known.Message)
	case known.Kind == ErrUnauthenticated && c.credential != nil:
		known.Message = fmt.Sprintf("the server refused %s: %s", c.credential.Source, known.Message)
	case known.Reason == "CREDENTIALS_REQUIRED":
		known.Message = c.Address() + " requires a credential; set FLOWMESH_API_KEY or FLOWMESH_TOKEN, or use WithAPIKey or WithToken"
	}
	return known
}

// Translate returns the error of a failed call in the form of the SDK.
func (c *Caller) Translate(ctx context.Context, err error) error {
	return c.explained(translate(ctx, err))
}

// scope returns a context that ends with the client too.
func (c *Caller) scope(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ended, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// Scope returns a context for a stream: it ends with ctx and with the client.
func (c *Caller) Scope(ctx context.Context) (context.Context, context.CancelFunc) {
	return c.scope(ctx)
}

// Method is a unary method of a generated client.
type Method[Request, Response any] func(context.Context, Request, ...grpc.CallOption) (Response, error)

// Call makes a unary call with its retries.
func Call[Request, Response any](ctx context.Context, c *Caller, method Method[Request, Response], request Request) (Response, error) {
	return CallFor(ctx, c, CallTimeout, method, request)
}

// CallFor makes a unary call whose tries last at most timeout each.
func CallFor[Request, Response any](ctx context.Context, c *Caller, timeout time.Duration, method Method[Request, Response], request Request) (Response, error) {
	var response Response
	err := c.Retried(ctx, max(timeout, RetryTotal), func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		response, err = method(ctx, request)
		if err != nil && ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = contextError(ctx)
		}
		return err
	})
	return response, err
}

// Retried calls once until it succeeds, a retry cannot help, or the next one
// would begin after the total time or the deadline of ctx.
func (c *Caller) Retried(ctx context.Context, total time.Duration, once func(context.Context) error) error {
	ctx, cancel := c.scope(ctx)
	defer cancel()
	until := time.Now().Add(total)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	wait := retryWaitMin
	moved := false
	for try := 0; ; try++ {
		header := ""
		if c.credential != nil {
			// An error of the token source is that of the call.
			header, _ = c.credential.header(ctx)
		}
		err := once(ctx)
		if err == nil {
			c.budget.succeeded()
			return nil
		}
		failure := c.explained(translate(ctx, err))
		if errors.Is(failure, ErrUnauthenticated) && c.credential != nil && c.credential.rejected(ctx, header) {
			continue
		}
		if !moved {
			if moved, err = c.followed(failure); err != nil {
				return err
			}
			if moved {
				continue
			}
		}
		delay, again := RetryDelay(failure, wait)
		if !again || time.Now().Add(delay).After(until) || !c.budget.permits(failure) {
			return failure
		}
		if unreachable := new(Error); try == 0 && errors.As(failure, &unreachable) && unreachable.unreachable {
			c.Log.Warn("flowmesh: the server does not respond; retrying", "address", c.Address())
		}
		// Jitter, so that clients that failed together do not retry together.
		delay += time.Duration(rand.Float64() * float64(wait))
		if sleep(ctx, delay) != nil {
			return failure
		}
		wait = min(2*wait, RetryWaitMax)
	}
}

// followed makes later calls to the cell that an error names; false if it
// names none. The error is that of an address that is less safe.
func (c *Caller) followed(failure error) (bool, error) {
	var known *Error
	if !errors.As(failure, &known) || known.cell == "" {
		return false, nil
	}
	c.mu.Lock()
	now := c.endpoint
	c.mu.Unlock()
	if now.Address == known.cell {
		return true, nil // a call at the same time has moved this client already
	}
	there, err := now.elsewhere(known.cell)
	if err == nil && c.credential != nil {
		err = there.CheckCredential(c.credential.Source)
	}
	if err == nil {
		err = c.move(there)
	}
	return err == nil, err
}

// RetryDelay returns the delay before a retry: that of the server, or wait;
// false if a retry cannot help.
func RetryDelay(err error, wait time.Duration) (time.Duration, bool) {
	var known *Error
	if !errors.As(err, &known) || (known.Kind != ErrUnavailable && known.Kind != ErrOverloaded) {
		return 0, false
	}
	if known.RetryAfter > 0 {
		return min(known.RetryAfter, RetryWaitMax), true
	}
	return wait, known.Kind == ErrUnavailable
}
