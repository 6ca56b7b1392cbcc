package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"flowmesh.dev/sdk"
)

const textMax = 1000

// usage is the error of a wrong command.
type usage string

func (u usage) Error() string { return string(u) }

// expanded reads the value of a command.
func expanded(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return raw
	}
	return replaced(value)
}

// replaced replaces the texts and wrong values that commands stand for.
func replaced(value any) any {
	switch value := value.(type) {
	case object:
		if length, ok := value["$text"].(json.Number); ok {
			count, _ := length.Int64()
			return strings.Repeat("x", int(count))
		}
		if bad, ok := value["$bad"].(string); ok {
			cycle := []any{nil}
			cycle[0] = cycle
			wrong := map[string]any{"cycle": cycle, "surrogate": "\xed\xa0\x80", "function": func() {}, "nan": math.NaN()}
			return wrong[bad]
		}
		for key, item := range value {
			value[key] = replaced(item)
		}
	case []any:
		for index, item := range value {
			value[index] = replaced(item)
		}
	}
	return value
}

// shortened replaces long texts by their length and digest.
func shortened(value any) any {
	switch value := value.(type) {
	case string:
		if len(value) <= textMax {
			return value
		}
		sum := sha256.Sum256([]byte(value))
		return object{"$text": len([]rune(value)), "sha256": hex.EncodeToString(sum[:])}
	case object:
		for key, item := range value {
			value[key] = shortened(item)
		}
	case []any:
		for index, item := range value {
			value[index] = shortened(item)
		}
	}
	return value
}

func failureJSON(failure *flowmesh.Failure) any {
	if failure == nil {
		return nil
	}
	return object{"class": failure.Class, "message": failure.Message, "node": failure.Node}
}

func valuesJSON(values map[string]flowmesh.Value) object {
	found := object{}
	for name, each := range values {
		var value any
		if err := each.Decode(&value); err != nil {
			value = err.Error()
		}
		found[name] = value
	}
	return found
}

func executionJSON(execution *flowmesh.Execution) object {
	nodes := object{}
	for _, node := range execution.Nodes {
		nodes[node.ID] = object{
			"status": node.Status, "attempts": node.Attempts, "taskType": node.TaskType,
			"failure": failureJSON(node.Failure), "held": node.Held,
		}
	}
	return object{
		"id": execution.ID, "workflow": execution.WorkflowID, "version": execution.Version,
		"status": execution.Status, "lastSequence": execution.LastSequence,
		"failure": failureJSON(execution.Failure), "variables": valuesJSON(execution.Variables), "nodes": nodes,
	}
}

func errorJSON(err error) object {
	found := object{"kind": "Internal", "reason": "", "message": err.Error()}
	var refused *flowmesh.Error
	var failed *flowmesh.ExecutionError
	var wrong usage
	switch {
	case errors.Is(err, flowmesh.ErrClosed), errors.Is(err, context.Canceled):
		found["kind"] = "Closed"
	case errors.As(err, &wrong):
		found["kind"] = "Usage"
	case errors.As(err, &failed):
		found["kind"], found["status"], found["failure"] = "ExecutionFailed", failed.Status, failureJSON(failed.Failure)
	case errors.As(err, &refused):
		found["kind"], found["reason"], found["message"] = refused.Kind, refused.Reason, refused.Message
		if refused.RetryAfter > 0 {
			found["retryAfterMs"] = refused.RetryAfter.Milliseconds()
		}
		violations := []object{}
		for _, each := range refused.Violations {
			violations = append(violations, object{
				"field": each.Field, "code": each.Code, "line": each.Line, "column": each.Column,
			})
		}
		found["violations"] = violations
	}
	return found
}
