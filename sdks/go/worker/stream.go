package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"flowmesh.dev/sdk/internal/core"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
)

const (
	pingEvery              = 3 * time.Second
	silenceMax             = 10 * time.Second
	unacknowledgedMax      = 10_000
	unacknowledgedBytesMax = 8 * 1024 * 1024
	specsMax               = 10_000
)

// stream keeps a `WorkerService.Work` stream open, and runs its tasks. A
// result is kept until its frame is acknowledged; after a reconnect the hello
// lists everything held, and unacknowledged results are sent again.
type stream struct {
	caller   *core.Caller
	options  options
	handlers map[string]handler
	ctx      context.Context
	cancel   context.CancelCauseFunc
	wake     chan struct{}
	ready    chan struct{}
	ended    chan struct{}
	err      error
	tasks    sync.WaitGroup
	// stop ends the stream once.
	stop func()

	mu       sync.Mutex
	running  map[string]context.CancelCauseFunc
	outgoing []*workerv1.TaskResult
	// waiting counts the results of a token in outgoing.
	waiting        map[string]int
	frames         []sentFrame
	unacknowledged map[string]*workerv1.TaskResult
	pendingBytes   int
	frame          int64
	heartbeats     map[string][]byte
	specs          map[string]*spec
	specOrder      []string
	ping           bool
	newSlots       int
	draining       bool
	drainSent      bool
	serverDrains   bool
	lastReceived   time.Time
	idle           chan struct{}
}

type sentFrame struct {
	number  int64
	results []*workerv1.TaskResult
	bytes   int
}

type spec struct{ config []byte }

func newStream(caller *core.Caller, given options, handlers map[string]handler) *stream {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &stream{
		caller: caller, options: given, handlers: handlers, ctx: ctx, cancel: cancel,
		wake:           make(chan struct{}, 1),
		ready:          make(chan struct{}),
		ended:          make(chan struct{}),
		running:        make(map[string]context.CancelCauseFunc),
		waiting:        make(map[string]int),
		unacknowledged: make(map[string]*workerv1.TaskResult),
		heartbeats:     make(map[string][]byte),
		specs:          make(map[string]*spec),
	}
	s.stop = sync.OnceFunc(s.end)
	go s.run()
	return s
}

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run opens the stream again and again; it ends with the worker, or with a
// refusal of the server.
func (s *stream) run() {
	defer close(s.ended)
	ctx, cancel := s.caller.Scope(s.ctx)
	defer cancel()
	reconnect := core.NewReconnect(s.caller)
	reachable := true
	for {
		err := s.converse(ctx, reconnect, func() {
			if !reachable {
				s.options.log.Info("flowmesh: the server responds again", "address", s.caller.Address())
			}
			reachable = true
		})
		if ctx.Err() != nil {
			if s.ctx.Err() == nil {
				s.err = core.ErrClosed // the client was closed
			}
			return
		}
		reconnect.Broken(ctx, err)
		if reconnect.Refused() || (reconnect.Hopeless() && !s.isReady()) {
			s.err = reconnect.Err()
			return
		}
		if reachable {
			s.options.log.Warn("flowmesh: the stream broke; reconnecting", "address", s.caller.Address(), "error", reconnect.Err())
		}
		reachable = false
		if reconnect.Pause(ctx) != nil {
			s.err = core.ErrClosed
			return
		}
		s.startOver()
	}
}

func (s *stream) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// converse opens the stream once and returns the error that ended it.
func (s *stream) converse(ctx context.Context, reconnect *core.Reconnect, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reconnect.Opening(ctx)
	s.mu.Lock()
	s.lastReceived = time.Now()
	hello := s.hello()
	s.mu.Unlock()
	opened, err := workerv1.NewWorkerServiceClient(s.caller).Work(ctx)
	if err != nil {
		return err
	}
	var helpers sync.WaitGroup
	helpers.Go(func() {
		defer cancel()
		s.write(opened, hello)
	})
	helpers.Go(func() {
		defer cancel()
		s.keepAlive(ctx)
	})
	for err == nil {
		var response *workerv1.WorkResponse
		if response, err = opened.Recv(); err != nil {
			break
		}
		reconnect.Connected()
		connected()
		if !s.receive(response) {
			break // the server drains, and nothing is left here
		}
	}
	cancel()
	helpers.Wait()
	return err
}

func (s *stream) hello() *workerv1.WorkHello {
	held := maps.Clone(s.waiting)
	for token := range s.running {
		held[token]++
	}
	for token := range s.unacknowledged {
		held[token]++
	}
	return &workerv1.WorkHello{
		WorkerId:       s.options.id,
		Namespace:      s.caller.Namespace,
		Queues:         s.options.queues,
		TaskTypes:      slices.Sorted(maps.Keys(s.handlers)),
		Slots:          uint32(s.options.slots),
		Labels:         s.options.labels,
		Held:           slices.Collect(maps.Keys(held)),
		ContractDigest: contractDigest(),
		Sdk:            sdk(),
	}
}

// sdk is the language and the version of this module; one that is built from its sources has none.
var sdk = sync.OnceValue(func() string {
	build, _ := debug.ReadBuildInfo()
	if build != nil {
		for _, module := range build.Deps {
			if module.Path == "flowmesh.dev/sdk" {
				return "go-" + strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "go"
})

// contractDigest identifies the contracts of this build, for diagnosis.
var contractDigest = sync.OnceValue(func() string {
	file := protodesc.ToFileDescriptorProto(workerv1.File_flowmesh_api_worker_v1_worker_service_proto)
	// Descriptors that the generator wrote can be encoded.
	data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(file)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
})

// startOver queues all unacknowledged results again, in their order.
func (s *stream) startOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var again []*workerv1.TaskResult
	for _, frame := range s.frames {
		for _, result := range frame.results {
			if s.waiting[result.Token] == 0 {
				again = append(again, result)
				s.waiting[result.Token]++
			}
		}
	}
	s.outgoing = append(again, s.outgoing...)
	s.frames, s.frame, s.pendingBytes = nil, 0, 0
	clear(s.unacknowledged)
	clear(s.specs)
	s.specOrder, s.drainSent, s.serverDrains = nil, false, false
	s.poke()
}

// keepAlive sends pings; it returns, which ends the stream, once the server
// is silent for too long.
func (s *stream) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		silent := time.Since(s.lastReceived) > silenceMax
		s.ping = true
		s.mu.Unlock()
		if silent {
			return
		}
		s.poke()
	}
}

func (s *stream) write(opened grpc.BidiStreamingClient[workerv1.WorkRequest, workerv1.WorkResponse], hello *workerv1.WorkHello) {
	if opened.Send(&workerv1.WorkRequest{Hello: hello}) != nil {
		return
	}
	for {
		frame := s.nextFrame()
		if frame == nil {
			select {
			case <-s.wake:
			case <-opened.Context().Done():
				return
			}
		} else if opened.Send(frame) != nil {
			return
		}
	}
}

// nextFrame returns the next frame, within its limits; nil if there is
// nothing to send.
func (s *stream) nextFrame() *workerv1.WorkRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := &workerv1.WorkRequest{Ping: s.ping, Slots: uint32(s.newSlots), Drain: s.draining && !s.drainSent}
	size := 0
	for len(s.outgoing) > 0 && len(frame.Results) < core.FrameItemsMax && size < core.FrameBytesMax &&
		len(s.unacknowledged) < unacknowledgedMax && s.pendingBytes+size < unacknowledgedBytesMax {
		result := s.outgoing[0]
		s.outgoing = s.outgoing[1:]
		if s.waiting[result.Token]--; s.waiting[result.Token] <= 0 {
			delete(s.waiting, result.Token)
		}
		s.unacknowledged[result.Token] = result
		frame.Results = append(frame.Results, result)
		size += sizeOf(result)
	}
	if len(frame.Results) > 0 {
		s.frame++
		frame.ResultsFrame = s.frame
		s.frames = append(s.frames, sentFrame{s.frame, frame.Results, size})
		s.pendingBytes += size
	}
	for token, details := range s.heartbeats {
		if size >= core.FrameBytesMax {
			break
		}
		frame.Heartbeats = append(frame.Heartbeats, &workerv1.Heartbeat{Token: token, Details: details})
		size += len(details)
		delete(s.heartbeats, token)
	}
	if len(frame.Results)+len(frame.Heartbeats) == 0 && !frame.Ping && !frame.Drain && frame.Slots == 0 {
		return nil
	}
	s.ping, s.newSlots, s.drainSent = false, 0, s.drainSent || frame.Drain
	return frame
}

func sizeOf(result *workerv1.TaskResult) int {
	return len(result.GetOutput().GetData()) + len(result.GetFailure().GetDetails()) + 64
}

// receive handles one message; false ends the stream.
func (s *stream) receive(response *workerv1.WorkResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastReceived = time.Now()
	if !s.isReady() {
		close(s.ready)
	}
	for _, exception := range response.GetExceptions() {
		result := s.unacknowledged[exception.GetToken()]
		if exception.GetKind() == workerv1.ResultExceptionKind_RESULT_EXCEPTION_KIND_MOVED && result != nil {
			s.queue(result) // the new owner receives it; a stale result is dropped
		}
	}
	if number := response.GetAcknowledgedFrame(); number > 0 {
		s.acknowledged(number)
	}
	for _, each := range response.GetSpecs() {
		if s.specs[each.GetDigest()] == nil {
			s.specOrder = append(s.specOrder, each.GetDigest())
		}
		s.specs[each.GetDigest()] = &spec{each.GetConfig()}
	}
	for _, task := range response.GetTasks() {
		token := task.GetToken()
		if s.running[token] == nil && s.unacknowledged[token] == nil && s.waiting[token] == 0 {
			s.accept(task)
		}
	}
	for len(s.specOrder) > specsMax {
		delete(s.specs, s.specOrder[0])
		s.specOrder = s.specOrder[1:]
	}
	// A message may contain a task and its cancellation.
	for _, token := range response.GetCancels() {
		if cancel := s.running[token]; cancel != nil {
			cancel(ErrCanceled)
		}
	}
	s.serverDrains = s.serverDrains || response.GetDrain()
	s.checkIdle()
	return !(s.serverDrains && s.isIdle())
}

func (s *stream) acknowledged(number int64) {
	for len(s.frames) > 0 && s.frames[0].number <= number {
		for _, result := range s.frames[0].results {
			delete(s.unacknowledged, result.Token)
		}
		s.pendingBytes -= s.frames[0].bytes
		s.frames = s.frames[1:]
	}
	if len(s.outgoing) > 0 {
		s.poke()
	}
}

func (s *stream) queue(result *workerv1.TaskResult) {
	s.outgoing = append(s.outgoing, result)
	s.waiting[result.Token]++
	s.poke()
}

func (s *stream) heartbeat(token string, details []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[token] != nil {
		s.heartbeats[token] = details
		s.poke()
	}
}

func (s *stream) setSlots(count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.slots, s.newSlots = count, count
	s.poke()
}

// The end --------------------------------------------------------------------

func (s *stream) isIdle() bool {
	return len(s.running) == 0 && len(s.unacknowledged) == 0 && len(s.outgoing) == 0
}

func (s *stream) checkIdle() {
	if s.idle != nil && s.isIdle() {
		close(s.idle)
		s.idle = nil
	}
}

// drain accepts no tasks, and waits until running ones have ended and their
// results are acknowledged, or for the limit.
func (s *stream) drain(limit time.Duration) {
	s.mu.Lock()
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.draining = true
	s.checkIdle()
	s.poke()
	s.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C: // tasks that still run are dispatched again
	case <-s.ended:
	}
}

// end closes the stream and cancels the tasks, whose results are not sent.
func (s *stream) end() {
	s.cancel(ErrStopped)
	<-s.ended
	s.mu.Lock()
	for _, cancel := range s.running {
		cancel(ErrStopped)
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(ended)
	}()
	timer := time.NewTimer(cancelWait)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		s.options.log.Warn("flowmesh: handlers ignore their canceled contexts")
	}
}
