package main

import (
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// The outcomes of each operation, separated by spaces. Each may also be `unknown`.
var outcomesOf = map[string]string{
	"execution start":  "ok",
	"execution signal": "ok ended",
	"execution cancel": "ok ended",
	"execution get":    "running completed canceled",
	"execution result": "completed canceled",
	"permits acquire":  "ok refused",
	"permits release":  "ok",
	"stream append":    "ok conflict",
	"stream read":      "ok",
}

var models = map[string]*porcupine.NondeterministicModel{
	"execution": model(execution{}, stepExecution),
	"permits":   model("", stepPermits),
	"stream":    model("", stepStream),
}

// An operation with an unknown outcome has had no effect, or one of those that it could have had.
func model[S comparable](first S, step func(S, Operation) []S) *porcupine.NondeterministicModel {
	return &porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{first} },
		Step: func(state, input, _ interface{}) []interface{} {
			before, operation := state.(S), input.(Operation)
			if operation.Outcome != "unknown" {
				return boxed(step(before, operation))
			}
			after := []interface{}{before}
			for _, outcome := range strings.Fields(outcomesOf[operation.Model+" "+operation.Op]) {
				operation.Outcome = outcome
				after = append(after, boxed(step(before, operation))...)
			}
			return after
		},
	}
}

func boxed[S any](states []S) []interface{} {
	found := make([]interface{}, len(states))
	for i, each := range states {
		found[i] = each
	}
	return found
}

// An execution that waits for one signal and returns its payload.
type execution struct {
	// The id that its request id stands for; empty before the start.
	id string
	// The payload of the first accepted signal.
	signal string
	// Empty while it runs.
	status, output string
}

// The wait ends at any time after the first signal. A cancellation takes effect before its response.
func stepExecution(state execution, operation Operation) []execution {
	after := applied(state, operation)
	if state.status == "" && state.signal != "" {
		ended := state
		ended.status, ended.output = "completed", state.signal
		after = append(after, applied(ended, operation)...)
	}
	return after
}

func applied(state execution, operation Operation) []execution {
	legal := state.id != ""
	switch operation.Op + " " + operation.Outcome {
	case "start ok":
		legal = state.id == "" || state.id == operation.Value
		if state.id == "" {
			state.id = operation.Value
		}
	case "signal ok":
		legal = legal && state.status == ""
		if state.signal == "" {
			state.signal = operation.Value
		}
	case "cancel ok":
		legal = legal && state.status == ""
		state.status = "canceled"
	case "signal ended", "cancel ended":
		legal = legal && state.status != ""
	case "get running":
		legal = legal && state.status == ""
	case "get completed", "get canceled":
		legal = legal && state.status == operation.Outcome
	case "result completed":
		legal = legal && state.status == "completed" && state.output == operation.Value
	case "result canceled":
		legal = legal && state.status == "canceled"
	}
	if !legal {
		return nil
	}
	return []execution{state}
}

// A lock with `capacity` holders: the state is their names, in order, each with a space behind it.
func stepPermits(state string, operation Operation) []string {
	holders := strings.Fields(state)
	full := len(holders) >= operation.Capacity
	holds := slices.Contains(holders, operation.Value)
	switch operation.Op + " " + operation.Outcome {
	case "acquire ok":
		if full || holds {
			return nil
		}
		holders = append(holders, operation.Value)
		slices.Sort(holders)
	case "acquire refused":
		if !full {
			return nil
		}
	case "release ok":
		if !holds {
			return nil
		}
		holders = slices.DeleteFunc(holders, func(each string) bool { return each == operation.Value })
	}
	return []string{strings.Join(holders, " ")}
}

// A stream of events: the state is their values in order.
func stepStream(state string, operation Operation) []string {
	events := strings.Fields(state)
	fits := len(events) == operation.Expected
	switch operation.Op + " " + operation.Outcome {
	case "append ok":
		if !fits {
			return nil
		}
		events = append(events, operation.Value)
	case "append conflict":
		if fits {
			return nil
		}
	case "read ok":
		if !slices.Equal(events, operation.Seen) {
			return nil
		}
	}
	return []string{strings.Join(events, " ")}
}
