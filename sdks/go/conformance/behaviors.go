package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/worker"
)

// ledger notes the calls of the handlers of one worker.
type ledger struct {
	client *flowmesh.Client

	mu    sync.Mutex
	calls []*call
	ended int
	began time.Time
}

type call struct {
	TaskType  string `json:"taskType"`
	Execution string `json:"execution"`
	Node      string `json:"node"`
	Attempt   int    `json:"attempt"`
	Key       string `json:"key"`
	State     string `json:"state"`
}

// input has the members of the inputs of all behaviors.
type input struct {
	Class, Message, Workflow  string
	RetryAfterMs, Ms, EveryMs int
	Attempts, Count, Bytes    int
	Details, Input            json.RawMessage
	Nested                    bool
}

func (l *ledger) handler(behavior string) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, given json.RawMessage) (any, error) {
		task := worker.TaskOf(ctx)
		noted := &call{task.TaskType, task.ExecutionID, task.Node, task.Attempt, task.IdempotencyKey, "running"}
		l.mu.Lock()
		l.calls = append(l.calls, noted)
		if l.began.IsZero() {
			l.began = time.Now()
		}
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.ended++
			if noted.State = "ended"; ctx.Err() != nil {
				noted.State = "canceled"
			}
		}()
		if behavior == "echo" {
			return given, nil
		}
		var in input
		// Behaviors with other inputs do not read them.
		_ = json.Unmarshal(given, &in)
		return l.behave(ctx, behavior, in)
	}
}

func (l *ledger) behave(ctx context.Context, behavior string, in input) (any, error) {
	task, pause := worker.TaskOf(ctx), time.Duration(in.Ms)*time.Millisecond
	switch behavior {
	case "context":
		return object{
			"attempt": task.Attempt, "key": task.IdempotencyKey, "execution": task.ExecutionID,
			"workflow": task.WorkflowID, "namespace": task.Namespace, "node": task.Node,
			"taskType": task.TaskType, "traceparent": task.Traceparent, "timeoutMs": task.Timeout.Milliseconds(),
		}, nil
	case "fail":
		failure := &worker.Failure{
			Class: in.Class, Message: in.Message, RetryAfter: time.Duration(in.RetryAfterMs) * time.Millisecond,
		}
		if in.Details != nil {
			failure.Details = in.Details
		}
		return nil, failure
	case "final":
		return nil, worker.NonRetryable(errors.New(in.Message))
	case "error":
		return nil, errors.New(in.Message)
	case "panic":
		panic("panic on purpose")
	case "flaky":
		if task.Attempt < in.Attempts {
			return nil, &worker.Failure{Class: in.Class, Message: fmt.Sprint("attempt ", task.Attempt)}
		}
		return object{"attempt": task.Attempt, "key": task.IdempotencyKey}, nil
	case "sleep":
		select {
		case <-time.After(pause):
			return object{"ms": in.Ms}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	case "stubborn":
		time.Sleep(pause)
		return object{"ms": in.Ms}, nil
	case "beat":
		return beat(ctx, in)
	case "big":
		return strings.Repeat("x", in.Bytes), nil
	case "unencodable":
		if in.Nested {
			return object{"sums": []float64{1, math.Inf(-1)}}, nil
		}
		return math.NaN(), nil
	case "call":
		output, err := flowmesh.Run[any](ctx, l.client, in.Workflow, in.Input)
		return object{"traceparent": task.Traceparent, "output": output}, err
	case "close":
		return nil, l.client.Close()
	case "exit":
		os.Exit(3)
	}
	return nil, nil
}

func beat(ctx context.Context, in input) (any, error) {
	for n := range in.Count {
		var details any = object{"n": n + 1}
		if in.Bytes > 0 {
			details = strings.Repeat("x", in.Bytes)
		}
		if err := worker.Heartbeat(ctx, details); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, &worker.Failure{Class: "Refused", Message: err.Error()}
		}
		time.Sleep(time.Duration(in.EveryMs) * time.Millisecond)
	}
	return object{"beats": in.Count}, nil
}

func (l *ledger) reached(count int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended >= count
}

func (l *ledger) summary() object {
	l.mu.Lock()
	defer l.mu.Unlock()
	distinct, states, calls := map[string]bool{}, map[string]int{}, []call{}
	for _, each := range l.calls {
		distinct[fmt.Sprint(each.Execution, each.Node, each.Attempt)] = true
		states[each.State]++
		calls = append(calls, *each)
	}
	found := object{"count": len(calls), "distinct": len(distinct)}
	if len(calls) > textMax {
		calls = calls[:0]
	}
	found["calls"] = calls
	for _, state := range []string{"running", "canceled", "ended"} {
		found[state] = states[state]
	}
	return found
}
