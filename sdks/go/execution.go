package flowmesh

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk/internal/core"
)

// Status is the state of an execution.
type Status string

// The statuses of executions.
const (
	Pending      Status = "pending"
	Running      Status = "running"
	Paused       Status = "paused"
	Completed    Status = "completed"
	Failed       Status = "failed"
	Canceled     Status = "canceled"
	Terminated   Status = "terminated"
	Compensating Status = "compensating"
	// Continued executions have ended and go on as a new one.
	Continued Status = "continued"
	// Unknown is a status of a newer server.
	Unknown Status = "unknown"
)

// Ended reports whether an execution of this status has ended.
func (s Status) Ended() bool {
	switch s {
	case Completed, Failed, Canceled, Terminated, Continued:
		return true
	}
	return false
}

// NodeStatus is the state of a node: pending, running, completed, failed,
// skipped, canceled, or unknown for one of a newer server.
type NodeStatus string

// Value is a value of an execution. One above 256 KiB is not inline: it has a
// Digest, by which Client.Fetch reads it.
type Value struct {
	JSON   json.RawMessage
	Digest string
	Size   int64
}

// Decode reads an inline value.
func (v Value) Decode(into any) error {
	if v.Digest != "" {
		return core.NewError(ErrInvalid, "REQUEST_INVALID", "the value is stored; Client.Fetch reads it")
	}
	return core.Decode(v.JSON, into)
}

// Failure is the failure of an attempt, a node or an execution.
type Failure struct {
	// Class is the name on which retry policies decide.
	Class      string
	Message    string
	Node       string
	RetryAfter time.Duration
	Details    json.RawMessage
}

// String returns class, place and message.
func (f *Failure) String() string {
	if f.Node == "" {
		return f.Class + ": " + f.Message
	}
	return fmt.Sprintf("%s in %s: %s", f.Class, f.Node, f.Message)
}

// Node is one step of an execution.
type Node struct {
	ID       string
	Name     string
	Status   NodeStatus
	TaskType string
	// Attempts counts the started attempts.
	Attempts     int
	Dependencies []string
	WorkerID     string
	StartedAt    time.Time
	EndedAt      time.Time
	Output       Value
	Failure      *Failure
	// Held nodes wait for an operator.
	Held             bool
	ChildExecutionID string
}

// Execution is one running or ended workflow, as last committed.
type Execution struct {
	ID           string
	Namespace    string
	WorkflowID   string
	Version      int
	Status       Status
	StartedAt    time.Time
	EndedAt      time.Time
	Input        Value
	Output       Value
	Failure      *Failure
	LastSequence int64
	RequestID    string
	ParentID     string
	ContinuedAs  string
	Variables    map[string]Value
	// Nodes are in the order of the definition; lists have none.
	Nodes []Node
}

// Node returns the node of an id; nil if there is none.
func (e *Execution) Node(id string) *Node {
	for index := range e.Nodes {
		if e.Nodes[index].ID == id {
			return &e.Nodes[index]
		}
	}
	return nil
}

// enumWord returns the word of an enum; one that has no name is a number.
func enumWord(name, prefix string) string {
	word, known := strings.CutPrefix(name, prefix)
	if !known || word == "UNSPECIFIED" {
		return string(Unknown)
	}
	return strings.ToLower(word)
}

func statusOf(status executionv1.ExecutionStatus) Status {
	return Status(enumWord(status.String(), "EXECUTION_STATUS_"))
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func valueOf(payload *commonv1.Payload) Value {
	if reference := payload.GetReference(); reference != nil {
		return Value{Digest: reference.GetDigest(), Size: reference.GetSizeBytes()}
	}
	data := core.AsJSON(payload.GetData(), payload.GetEncoding())
	return Value{JSON: data, Size: int64(len(data))}
}

func failureOf(failure *commonv1.Failure) *Failure {
	if failure == nil {
		return nil
	}
	return &Failure{
		Class:      failure.GetClass(),
		Message:    failure.GetMessage(),
		Node:       failure.GetNode(),
		RetryAfter: time.Duration(failure.GetRetryAfterMs()) * time.Millisecond,
		Details:    failure.GetDetails(),
	}
}

func nodeOf(node *executionv1.Node) Node {
	return Node{
		ID:               node.GetId(),
		Name:             first(node.GetName(), node.GetId()),
		Status:           NodeStatus(enumWord(node.GetStatus().String(), "NODE_STATUS_")),
		TaskType:         node.GetTaskType(),
		Attempts:         int(node.GetAttempts()),
		Dependencies:     node.GetDependencies(),
		WorkerID:         node.GetWorkerId(),
		StartedAt:        moment(node.GetStartedAtUs()),
		EndedAt:          moment(node.GetEndedAtUs()),
		Output:           valueOf(node.GetOutput()),
		Failure:          failureOf(node.GetFailure()),
		Held:             node.GetHeld(),
		ChildExecutionID: node.GetChildExecutionId(),
	}
}

func executionOf(message *executionv1.Execution) *Execution {
	found := &Execution{
		ID:           message.GetExecutionId(),
		Namespace:    message.GetNamespace(),
		WorkflowID:   message.GetWorkflowId(),
		Version:      int(message.GetWorkflowVersion()),
		Status:       statusOf(message.GetStatus()),
		StartedAt:    moment(message.GetStartedAtUs()),
		EndedAt:      moment(message.GetEndedAtUs()),
		Input:        valueOf(message.GetInput()),
		Output:       valueOf(message.GetOutput()),
		Failure:      failureOf(message.GetFailure()),
		LastSequence: message.GetLastSequence(),
		RequestID:    message.GetRequestId(),
		ParentID:     message.GetLink().GetParentId(),
		ContinuedAs:  message.GetContinuedAs(),
		Variables:    make(map[string]Value, len(message.GetVariables())),
		Nodes:        make([]Node, 0, len(message.GetNodes())),
	}
	for name, payload := range message.GetVariables() {
		found.Variables[name] = valueOf(payload)
	}
	for _, node := range message.GetNodes() {
		found.Nodes = append(found.Nodes, nodeOf(node))
	}
	return found
}
