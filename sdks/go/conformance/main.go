// Command conformance is the driver of the Go SDK: it reads commands as JSON
// lines, makes calls and writes answers (see sdks/conformance/protocol.md).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"runtime"
	"sync"
	"time"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/mesh"
	"flowmesh.dev/sdk/worker"
)

type object = map[string]any

// command has the members of every verb.
type command struct {
	ID                                                         int64
	Verb, Client, Worker, Session, Address, Namespace, Token   string
	APIKey, Provider, CA, Certificate, Key, Source, Workflow   string
	RequestID, Execution, Filter, Name, Action, Reason, Digest string
	WorkerID, Endpoint, Capability, Kind, Sealing              string
	Version, WaitMs, DelayMs, PageSize, Slots                  int
	DrainMs, AfterMs, Count, Picks                             int
	After                                                      int64
	Input, Payload, Value                                      json.RawMessage
	Inputs                                                     []json.RawMessage
	Types, Statuses, Queues, RequestIDs, Capabilities, Only    []string
	Labels, Tasks                                              map[string]string
	TimeoutMs                                                  *int
	Results                                                    *bool
}

// driver holds the named objects.
type driver struct {
	mu       sync.Mutex
	clients  map[string]*flowmesh.Client
	workers  map[string]*serving
	sessions map[string]*flowmesh.Session
	services map[string]*mesh.Registration
	baseline int
}

type serving struct {
	worker *worker.Worker
	ledger *ledger
}

func named(name string) string {
	if name == "" {
		return "main"
	}
	return name
}

// of returns a named object.
func of[T any](d *driver, objects map[string]T, name string) T {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := objects[named(name)]
	if !ok {
		panic(usage("there is no object " + named(name)))
	}
	return found
}

func keep[T any](d *driver, objects map[string]T, name string, made T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	objects[named(name)] = made
}

func (d *driver) client(c *command) *flowmesh.Client { return of(d, d.clients, c.Client) }

func (d *driver) handle(c *command) *flowmesh.Handle { return d.client(c).Handle(c.Execution) }

func (d *driver) open(ctx context.Context, c *command) (any, error) {
	options := []flowmesh.Option{flowmesh.WithNamespace(c.Namespace), flowmesh.WithAPIKey(c.APIKey)}
	if c.Provider != "" {
		options = append(options, flowmesh.WithTokenSource(provider(c)))
	} else {
		options = append(options, flowmesh.WithToken(c.Token))
	}
	if c.CA != "" {
		options = append(options, flowmesh.WithTLS(flowmesh.TLS{CA: c.CA, Certificate: c.Certificate, Key: c.Key}))
	}
	if c.Sealing != "" {
		keys, err := flowmesh.ReadSealingKeys(c.Sealing, c.Only...)
		if err != nil {
			return nil, err
		}
		options = append(options, flowmesh.WithCodec(keys))
	}
	client, err := flowmesh.Dial(ctx, c.Address, options...)
	if err != nil {
		return nil, err
	}
	keep(d, d.clients, c.Client, client)
	return object{}, nil
}

func provider(c *command) flowmesh.TokenSource {
	return func(ctx context.Context) (string, error) {
		switch c.Provider {
		case "throws":
			return "", errors.New("no token today")
		case "crlf":
			return "a\r\nb", nil
		}
		time.Sleep(500 * time.Millisecond)
		return c.Token, nil
	}
}

func (d *driver) close(_ context.Context, c *command) (any, error) {
	switch {
	case c.Worker != "" || c.Verb == "drain":
		of(d, d.workers, c.Worker).worker.Stop()
		return object{}, nil
	case c.Session != "":
		return object{}, of(d, d.sessions, c.Session).Close()
	}
	return object{}, d.client(c).Close()
}

func (d *driver) reset(ctx context.Context, _ *command) (any, error) {
	d.mu.Lock()
	clients, workers, sessions, services := d.clients, d.workers, d.sessions, d.services
	d.clear()
	d.mu.Unlock()
	for _, each := range services {
		each.Close()
	}
	for _, each := range workers {
		each.worker.Stop()
	}
	for _, client := range clients {
		client.Close()
	}
	for _, session := range sessions {
		session.Close()
	}
	return object{}, ctx.Err()
}

func (d *driver) clear() {
	d.clients, d.workers = map[string]*flowmesh.Client{}, map[string]*serving{}
	d.sessions, d.services = map[string]*flowmesh.Session{}, map[string]*mesh.Registration{}
}

func (d *driver) leaks(context.Context, *command) (any, error) {
	// The writer and this command run. Goroutines of closed connections need a
	// moment to end.
	left := 0
	for range 50 {
		if left = runtime.NumGoroutine() - d.baseline - 2; left <= 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return object{"open": max(left, 0)}, nil
}

func (d *driver) apply(ctx context.Context, c *command) (any, error) {
	resources, err := d.client(c).Apply(ctx, []byte(c.Source))
	found := []object{}
	for _, each := range resources {
		found = append(found, object{"kind": each.Kind, "name": each.Name, "version": each.Version, "created": each.Created})
	}
	return object{"resources": found}, err
}

func (c *command) startOptions() []flowmesh.StartOption {
	return []flowmesh.StartOption{
		flowmesh.RequestID(c.RequestID), flowmesh.Version(c.Version), flowmesh.Labels(c.Labels),
	}
}

func (d *driver) start(ctx context.Context, c *command) (any, error) {
	wait := time.Duration(c.WaitMs) * time.Millisecond
	handle, err := d.client(c).StartAndWait(ctx, c.Workflow, expanded(c.Input), wait, c.startOptions()...)
	if err != nil {
		return nil, err
	}
	return object{"id": handle.ID(), "created": handle.Created()}, nil
}

func (c *command) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := 30 * time.Second
	if c.TimeoutMs != nil {
		limit = time.Duration(*c.TimeoutMs) * time.Millisecond
	}
	return context.WithTimeout(ctx, limit)
}

func (d *driver) run(ctx context.Context, c *command) (any, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	output, err := flowmesh.Run[any](ctx, d.client(c), c.Workflow, expanded(c.Input), c.startOptions()...)
	return object{"output": output}, err
}

func (d *driver) wait(ctx context.Context, c *command) (any, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	output, err := flowmesh.Result[any](ctx, d.handle(c))
	return object{"output": output}, err
}

func (d *driver) describe(ctx context.Context, c *command) (any, error) {
	execution, err := d.handle(c).Describe(ctx)
	if err != nil {
		return nil, err
	}
	return executionJSON(execution), nil
}

func (d *driver) outputs(ctx context.Context, c *command) (any, error) {
	values, err := d.handle(c).Outputs(ctx)
	return object{"outputs": valuesJSON(values)}, err
}

func (c *command) eventOptions() []flowmesh.EventOption {
	return []flowmesh.EventOption{flowmesh.After(c.After), flowmesh.OfTypes(c.Types...)}
}

func eventsJSON(c *command, events iter.Seq2[flowmesh.Event, error]) (any, error) {
	found := []object{}
	for event, err := range events {
		if err != nil {
			return nil, err
		}
		kind := event.Type
		if kind == "Unknown" {
			kind = ""
		}
		found = append(found, object{"type": kind, "sequence": event.Sequence, "node": event.Node})
		time.Sleep(time.Duration(c.DelayMs) * time.Millisecond)
	}
	return object{"events": found}, nil
}

func (d *driver) events(ctx context.Context, c *command) (any, error) {
	return eventsJSON(c, d.handle(c).Events(ctx, c.eventOptions()...))
}

func (d *driver) history(ctx context.Context, c *command) (any, error) {
	return eventsJSON(c, d.handle(c).History(ctx, c.After))
}

func (d *driver) list(ctx context.Context, c *command) (any, error) {
	options := []flowmesh.ListOption{
		flowmesh.WorkflowIs(c.Workflow), flowmesh.PageSize(c.PageSize), flowmesh.Matching(c.Filter),
	}
	for _, each := range c.Statuses {
		options = append(options, flowmesh.StatusIn(flowmesh.Status(each)))
	}
	ids := []string{}
	for execution, err := range d.client(c).List(ctx, options...) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, execution.ID)
	}
	return object{"ids": ids}, nil
}

func (d *driver) signal(ctx context.Context, c *command) (any, error) {
	sequence, err := d.handle(c).Signal(ctx, c.Name, expanded(c.Payload), flowmesh.ChangeID(c.RequestID))
	return object{"sequence": sequence}, err
}

func (d *driver) control(ctx context.Context, c *command) (any, error) {
	handle := d.handle(c)
	reason := flowmesh.Reason(c.Reason)
	switch c.Action {
	case "cancel":
		return object{}, handle.Cancel(ctx, reason)
	case "terminate":
		return object{}, handle.Terminate(ctx, reason)
	case "pause":
		return object{}, handle.Pause(ctx, reason)
	}
	return object{}, handle.Resume(ctx, reason)
}

func (d *driver) put(ctx context.Context, c *command) (any, error) {
	value, err := d.client(c).Store(ctx, expanded(c.Value))
	return object{"digest": value.Digest, "size": value.Size}, err
}

func (d *driver) abandon(ctx context.Context, c *command) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.AfterMs)*time.Millisecond)
	defer cancel()
	var err error
	if c.Digest != "" {
		_, err = d.get(ctx, c)
	} else {
		_, err = d.put(ctx, c)
	}
	// The call may end by its deadline a moment before the context.
	return object{"left": errors.Is(err, context.DeadlineExceeded)}, nil
}

func (d *driver) get(ctx context.Context, c *command) (any, error) {
	var value any
	err := d.client(c).Fetch(ctx, flowmesh.Value{Digest: c.Digest}, &value)
	return object{"value": value}, err
}

func (d *driver) serve(ctx context.Context, c *command) (any, error) {
	options := []worker.Option{worker.Queues(c.Queues...), worker.Labels(c.Labels)}
	if c.Slots != 0 {
		options = append(options, worker.Slots(c.Slots))
	}
	if c.WorkerID != "" {
		options = append(options, worker.ID(c.WorkerID))
	}
	if c.DrainMs != 0 {
		options = append(options, worker.DrainFor(time.Duration(c.DrainMs)*time.Millisecond))
	}
	client := d.client(c)
	made := &serving{worker.New(client, options...), &ledger{client: client}}
	for taskType, behavior := range c.Tasks {
		worker.Handle(made.worker, taskType, made.ledger.handler(behavior))
	}
	if err := made.worker.Start(ctx); err != nil {
		return nil, err
	}
	keep(d, d.workers, c.Worker, made)
	return object{}, nil
}

func (d *driver) ledger(_ context.Context, c *command) (any, error) {
	return of(d, d.workers, c.Worker).ledger.summary(), nil
}

func (d *driver) session(_ context.Context, c *command) (any, error) {
	keep(d, d.sessions, c.Session, d.client(c).Session(context.Background()))
	return object{}, nil
}

func (d *driver) submit(ctx context.Context, c *command) (any, error) {
	session, results := of(d, d.sessions, c.Session), c.Results == nil || *c.Results
	count := max(len(c.Inputs), c.Count)
	ids, outputs, failures := make([]any, count), make([]any, count), make([]any, count)
	var all sync.WaitGroup
	for n := range count {
		all.Go(func() {
			var input any = object{"n": n}
			if c.Inputs != nil {
				input = expanded(c.Inputs[n])
			}
			requestID, start := "", session.StartOnly
			if c.RequestIDs != nil {
				requestID = c.RequestIDs[n]
			}
			if results {
				start = session.Start
			}
			call, err := start(ctx, c.Workflow, input, flowmesh.RequestID(requestID))
			if err == nil {
				if ids[n], err = call.Started(ctx); err == nil && results {
					outputs[n], err = flowmesh.SessionOutput[any](ctx, call)
				}
			}
			if ids[n] == "" {
				ids[n] = nil
			}
			if err != nil {
				failures[n] = errorJSON(err)
			}
		})
	}
	all.Wait()
	return object{"ids": ids, "outputs": outputs, "errors": failures}, nil
}

func (d *driver) answer(c *command) (value any, err error) {
	verbs := map[string]func(context.Context, *command) (any, error){
		"open": d.open, "close": d.close, "drain": d.close, "reset": d.reset, "leaks": d.leaks,
		"apply": d.apply, "start": d.start, "run": d.run, "wait": d.wait, "describe": d.describe,
		"outputs": d.outputs, "events": d.events, "history": d.history, "list": d.list,
		"signal": d.signal, "control": d.control, "put": d.put, "get": d.get, "abandon": d.abandon,
		"serve":  d.serve,
		"ledger": d.ledger, "session": d.session, "submit": d.submit, "service": d.service, "bench": d.bench,
		"hello": func(context.Context, *command) (any, error) {
			return object{"language": "go", "features": []string{"resolver", "tracing"}}, nil
		},
	}
	defer func() {
		if wrong, ok := recover().(usage); ok {
			err = wrong
		}
	}()
	verb := verbs[c.Verb]
	if verb == nil {
		return nil, usage("there is no verb " + c.Verb)
	}
	return verb(context.Background(), c)
}

func main() {
	d := &driver{baseline: runtime.NumGoroutine()}
	d.clear()
	output := make(chan []byte)
	var writing, answering sync.WaitGroup
	writing.Go(func() {
		for line := range output {
			os.Stdout.Write(append(line, '\n'))
		}
	})
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			break
		}
		answering.Go(func() { output <- answered(d, line) })
	}
	d.reset(context.Background(), nil)
	answering.Wait()
	close(output)
	writing.Wait()
}

func answered(d *driver, line []byte) []byte {
	var c command
	err := json.Unmarshal(line, &c)
	var value any
	if err == nil {
		value, err = d.answer(&c)
	}
	answer := object{"id": c.ID, "value": shortened(value)}
	if err != nil {
		answer = object{"id": c.ID, "error": errorJSON(err)}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		text, _ = json.Marshal(object{"id": c.ID, "error": errorJSON(err)})
	}
	return text
}
