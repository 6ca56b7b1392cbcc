// Check histories of a running suite for linearizability.
//
// Each line of the standard input is one operation in JSON; see Operation. Operations of one model
// and key make a history. Prints a line per history and exits with 1 if one is not linearizable, or
// with 2 if the input is wrong or a check takes too long.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	lineBytesMax = 1 << 20
	checkTimeout = 60 * time.Second
)

const (
	exitOk = iota
	exitIllegal
	exitWrong
)

// Operation is one call of a client. Times are in nanoseconds of one clock.
type Operation struct {
	Model    string   `json:"model"`
	Key      string   `json:"key"`
	Client   int      `json:"client"`
	Op       string   `json:"op"`
	Value    string   `json:"value"`
	Expected int      `json:"expected"`
	Capacity int      `json:"capacity"`
	Outcome  string   `json:"outcome"`
	Seen     []string `json:"seen"`
	Call     int64    `json:"call"`
	Return   int64    `json:"return"`
}

func (o Operation) String() string {
	text := fmt.Sprintf("client %d: %s(%s) = %s", o.Client, o.Op, o.Value, o.Outcome)
	if len(o.Seen) > 0 {
		text += " " + strings.Join(o.Seen, ",")
	}
	return text
}

func main() {
	os.Exit(run(os.Stdin, os.Stdout, os.Stderr))
}

func run(input io.Reader, output, problems io.Writer) int {
	histories, err := read(input)
	if err != nil {
		fmt.Fprintln(problems, err)
		return exitWrong
	}
	code := exitOk
	for _, name := range sorted(histories) {
		history := histories[name]
		checked := models[history[0].Model].ToModel()
		result, info := porcupine.CheckOperationsVerbose(checked, operations(history), checkTimeout)
		fmt.Fprintf(output, "%s: %d operations: %s\n", name, len(history), result)
		switch result {
		case porcupine.Illegal:
			explain(output, history, info)
			code = max(code, exitIllegal)
		case porcupine.Unknown:
			code = exitWrong
		}
	}
	return code
}

func read(input io.Reader) (map[string][]Operation, error) {
	histories := map[string][]Operation{}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, lineBytesMax)
	for number := 1; lines.Scan(); number++ {
		operation, err := parse(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		name := operation.Model + " " + operation.Key
		histories[name] = append(histories[name], operation)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(histories) == 0 {
		return nil, fmt.Errorf("no operation: an empty history proves nothing")
	}
	return histories, nil
}

func parse(line string) (Operation, error) {
	var operation Operation
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&operation); err != nil {
		return operation, err
	}
	outcomes, known := outcomesOf[operation.Model+" "+operation.Op]
	if !known {
		return operation, fmt.Errorf("no model has %s %s", operation.Model, operation.Op)
	}
	if !strings.Contains(" "+outcomes+" unknown ", " "+operation.Outcome+" ") {
		return operation, fmt.Errorf("%s ends with one of %s, not with %q", operation.Op, outcomes, operation.Outcome)
	}
	if operation.Outcome == "unknown" {
		// The call may take effect at any later time, or never.
		operation.Return = math.MaxInt64
	}
	if operation.Return < operation.Call {
		return operation, fmt.Errorf("the call returns before it is made")
	}
	return operation, nil
}

func operations(history []Operation) []porcupine.Operation {
	found := make([]porcupine.Operation, len(history))
	for i, each := range history {
		found[i] = porcupine.Operation{
			ClientId: each.Client, Input: each, Output: each.Outcome, Call: each.Call, Return: each.Return,
		}
	}
	return found
}

// Print the operations that no order of the others makes legal, the first ten by time.
func explain(output io.Writer, history []Operation, info porcupine.LinearizationInfo) {
	placed := map[int]bool{}
	for _, orders := range info.PartialLinearizations() {
		longest := []int{}
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
		for _, id := range longest {
			placed[id] = true
		}
	}
	var left []Operation
	for id, each := range history {
		if !placed[id] && each.Outcome != "unknown" {
			left = append(left, each)
		}
	}
	sort.Slice(left, func(i, j int) bool { return left[i].Call < left[j].Call })
	for _, each := range left[:min(len(left), 10)] {
		fmt.Fprintf(output, "  has no place: %s\n", each)
	}
}

func sorted(histories map[string][]Operation) []string {
	names := make([]string, 0, len(histories))
	for name := range histories {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
