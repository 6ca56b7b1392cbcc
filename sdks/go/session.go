package flowmesh

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk/internal/core"
	"google.golang.org/grpc"
)

const (
	sessionUnacknowledgedMax = 10_000
	// sessionWindowMin is the least number of starts in flight of a session
	// that the server throttles.
	sessionWindowMin  = 10
	sessionFlush      = 10 * time.Second
	sessionRetryFirst = 100 * time.Millisecond
)

// Session makes many starts over one stream, and receives their results on
// it. A broken stream is opened again: unacknowledged starts are sent again
// with their request ids. It is safe for concurrent use.
type Session struct {
	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	wake   chan struct{}
	// room has one element per unacknowledged start.
	room chan struct{}

	mu         sync.Mutex
	closed     bool
	last       uint64
	calls      map[uint64]*SessionCall
	outgoing   []*SessionCall
	watching   []*SessionCall
	overloaded []*SessionCall
	window     float64
	inFlight   int
}

// SessionCall is a start of a session.
type SessionCall struct {
	session    *Session
	number     uint64
	request    *executionv1.StartExecutionRequest
	wantResult bool
	inFlight   bool
	refusedAt  time.Time

	started, done chan struct{}
	id            string
	outcome       *executionv1.SessionResult
	err           error
}

// Session opens a session; it ends with Close, with ctx, or with the client.
func (c *Client) Session(ctx context.Context) *Session {
	ctx, cancel := c.caller.Scope(ctx)
	session := &Session{
		client: c,
		ctx:    ctx,
		cancel: cancel,
		ended:  make(chan struct{}),
		wake:   make(chan struct{}, 1),
		room:   make(chan struct{}, sessionUnacknowledgedMax),
		calls:  make(map[uint64]*SessionCall),
		window: sessionUnacknowledgedMax,
	}
	go session.run()
	return session
}

// Close waits until every start is acknowledged, for 10 s at most, and ends
// the session. Calls without a result then fail with ErrClosed.
func (s *Session) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	deadline := time.NewTimer(sessionFlush)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for flushing := true; flushing && len(s.room) > 0; {
		select {
		case <-poll.C:
		case <-deadline.C:
			flushing = false
		case <-s.ended:
			flushing = false
		}
	}
	s.cancel()
	<-s.ended
	return nil
}

// Start queues a start; it waits only while 10,000 are unacknowledged.
func (s *Session) Start(ctx context.Context, workflow string, input any, options ...StartOption) (*SessionCall, error) {
	return s.start(ctx, workflow, input, true, options)
}

// StartOnly queues a start whose result is not wanted.
func (s *Session) StartOnly(ctx context.Context, workflow string, input any, options ...StartOption) (*SessionCall, error) {
	return s.start(ctx, workflow, input, false, options)
}

// Watch returns a call whose result is that of an execution that exists.
func (s *Session) Watch(id string) (*SessionCall, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	call := s.added(nil, true)
	call.id = id
	close(call.started)
	s.watching = append(s.watching, call)
	s.poke()
	return call, nil
}

func (s *Session) start(ctx context.Context, workflow string, input any, wantResult bool, options []StartOption) (*SessionCall, error) {
	request, err := s.client.startRequest(ctx, workflow, input, options)
	if err != nil {
		return nil, err
	}
	select {
	case s.room <- struct{}{}:
	case <-ctx.Done():
		return nil, s.client.caller.Translate(ctx, ctx.Err())
	case <-s.ended:
		return nil, ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		<-s.room
		return nil, ErrClosed
	}
	call := s.added(request, wantResult)
	s.outgoing = append(s.outgoing, call)
	s.poke()
	return call, nil
}

func (s *Session) added(request *executionv1.StartExecutionRequest, wantResult bool) *SessionCall {
	s.last++
	call := &SessionCall{
		session: s, number: s.last, request: request, wantResult: wantResult,
		started: make(chan struct{}), done: make(chan struct{}),
	}
	s.calls[call.number] = call
	return call
}

// Started waits for the commit of the start and returns the execution's id.
func (c *SessionCall) Started(ctx context.Context) (string, error) {
	select {
	case <-c.started:
		if c.id == "" {
			return "", c.err
		}
		return c.id, nil
	case <-ctx.Done():
		return "", c.session.client.caller.Translate(ctx, ctx.Err())
	}
}

// Result waits for the end of the execution and decodes its output.
func (c *SessionCall) Result(ctx context.Context, into any) error {
	if !c.wantResult {
		return core.NewError(ErrInvalid, "REQUEST_INVALID", "the start was queued with StartOnly")
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return c.session.client.caller.Translate(ctx, ctx.Err())
	}
	if c.outcome == nil {
		return c.err
	}
	if status := statusOf(c.outcome.GetStatus()); status != Completed {
		return &ExecutionError{c.outcome.GetExecutionId(), status, failureOf(c.outcome.GetFailure())}
	}
	data, err := c.session.client.caller.Unpack(ctx, c.outcome.GetOutput())
	if err != nil {
		return err
	}
	return core.Decode(data, into)
}

// The stream ---------------------------------------------------------------

func (s *Session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Session) run() {
	defer close(s.ended)
	defer s.fail(ErrClosed, true)
	reconnect := core.NewReconnect(s.client.caller)
	for {
		err := s.converse(reconnect)
		if s.ctx.Err() != nil {
			return
		}
		reconnect.Broken(s.ctx, err)
		if reconnect.Hopeless() {
			s.fail(reconnect.Err(), false)
		}
		if reconnect.Pause(s.ctx) != nil {
			return
		}
		s.resend()
	}
}

// converse opens the stream and returns the error that ended it.
func (s *Session) converse(reconnect *core.Reconnect) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	reconnect.Opening(ctx)
	stream, err := s.client.executions.Session(ctx)
	if err != nil {
		return err
	}
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		defer cancel()
		s.write(stream)
	}()
	for err == nil {
		var response *executionv1.SessionResponse
		if response, err = stream.Recv(); err == nil {
			reconnect.Connected()
			s.receive(response)
		}
	}
	cancel()
	<-writing
	return err
}

func (s *Session) write(stream grpc.BidiStreamingClient[executionv1.SessionRequest, executionv1.SessionResponse]) {
	for {
		frame := s.frame()
		if frame == nil {
			select {
			case <-s.wake:
			case <-stream.Context().Done():
				return
			}
		} else if stream.Send(frame) != nil {
			return
		}
	}
}

// frame returns the next starts and watches, within the limits of a frame
// and the window; nil if there are none.
func (s *Session) frame() *executionv1.SessionRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame, size := &executionv1.SessionRequest{}, 0
	room := min(max(int(s.window)-s.inFlight, 0), core.FrameItemsMax)
	if len(s.overloaded) > 0 {
		room = 0
	}
	for len(s.outgoing) > 0 && len(frame.Starts) < room && size < core.FrameBytesMax {
		call := s.outgoing[0]
		s.outgoing = s.outgoing[1:]
		if call.request == nil || call.inFlight {
			continue
		}
		call.inFlight = true
		s.inFlight++
		size += len(call.request.GetInput().GetData()) + 128
		frame.Starts = append(frame.Starts, &executionv1.SessionStart{
			CallId: call.number, Start: call.request, WantResult: call.wantResult,
		})
	}
	for len(s.watching) > 0 && len(frame.Watches) < core.FrameItemsMax {
		call := s.watching[0]
		s.watching = s.watching[1:]
		if s.calls[call.number] != nil {
			frame.Watches = append(frame.Watches, &executionv1.SessionWatch{
				CallId: call.number, Namespace: s.client.caller.Namespace, ExecutionId: call.id,
			})
		}
	}
	if len(frame.Starts)+len(frame.Watches) == 0 {
		return nil
	}
	return frame
}

func (s *Session) receive(response *executionv1.SessionResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, started := range response.GetStarted() {
		if call := s.calls[started.GetCallId()]; call != nil && call.request != nil {
			s.accepted(call, started.GetExecutionId())
			if !call.wantResult {
				delete(s.calls, call.number)
				close(call.done)
			}
		}
	}
	for _, result := range response.GetResults() {
		if call := s.calls[result.GetCallId()]; call != nil {
			delete(s.calls, call.number)
			if call.request != nil {
				s.accepted(call, result.GetExecutionId())
			}
			call.outcome = result
			close(call.done)
		}
	}
	for _, refused := range response.GetRefused() {
		s.refused(refused)
	}
	if len(s.overloaded) > 0 && len(response.GetStarted()) > 0 {
		s.retryOverloaded() // the server has capacity again
	} else if len(s.outgoing) > 0 {
		s.poke()
	}
}

func (s *Session) accepted(call *SessionCall, id string) {
	s.inFlight--
	// The window grows by a tenth per accepted start, and shrinks by one per
	// start that an overloaded server refuses.
	s.window = math.Min(s.window+0.1, sessionUnacknowledgedMax)
	call.inFlight, call.request, call.id = false, nil, id
	<-s.room
	close(call.started)
}

func (s *Session) refused(refused *executionv1.SessionRefused) {
	call := s.calls[refused.GetCallId()]
	if call == nil {
		return
	}
	after := time.Duration(refused.GetRetryAfterMs()) * time.Millisecond
	err := core.Refused(refused.GetCode(), refused.GetReason(), refused.GetMessage(), after)
	overloaded := err.Reason == "OVERLOADED"
	if call.inFlight {
		call.inFlight = false
		s.inFlight--
		if overloaded {
			s.window = math.Max(s.window-1, sessionWindowMin)
		}
	}
	if call.refusedAt.IsZero() {
		call.refusedAt = time.Now()
	}
	delay, again := core.RetryDelay(err, sessionRetryFirst)
	switch {
	case !again || time.Since(call.refusedAt)+delay > core.RetryTotal:
		s.drop(call, err)
	case call.request == nil:
		s.later(delay, func() { s.watching = append(s.watching, call) })
	case !overloaded:
		s.later(delay, func() { s.outgoing = append(s.outgoing, call) })
	default:
		if len(s.overloaded) == 0 {
			s.later(delay, s.retryOverloaded)
		}
		s.overloaded = append(s.overloaded, call)
	}
}

func (s *Session) later(delay time.Duration, change func()) {
	time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		change()
		s.poke()
	})
}

// retryOverloaded queues the refused starts before those never sent.
func (s *Session) retryOverloaded() {
	slices.SortFunc(s.overloaded, func(a, b *SessionCall) int { return cmp.Compare(a.number, b.number) })
	s.outgoing = append(s.overloaded, s.outgoing...)
	s.overloaded = nil
	s.poke()
}

// resend queues everything open again, after a reconnect.
func (s *Session) resend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight, s.overloaded, s.outgoing, s.watching = 0, nil, nil, nil
	for _, call := range s.calls {
		call.inFlight = false
		if call.request != nil {
			s.outgoing = append(s.outgoing, call)
		} else {
			s.watching = append(s.watching, call)
		}
	}
	slices.SortFunc(s.outgoing, func(a, b *SessionCall) int { return cmp.Compare(a.number, b.number) })
	s.poke()
}

func (s *Session) drop(call *SessionCall, err error) {
	delete(s.calls, call.number)
	call.err = err
	if call.request != nil {
		call.request = nil
		<-s.room
		close(call.started)
	}
	close(call.done)
}

func (s *Session) fail(err error, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = s.closed || closed
	for _, call := range s.calls {
		s.drop(call, err)
	}
}

// SessionOutput waits for the result of a call and returns it.
func SessionOutput[Out any](ctx context.Context, call *SessionCall) (Out, error) {
	var output Out
	err := call.Result(ctx, &output)
	return output, err
}
