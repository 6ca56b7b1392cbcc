// Command peer measures Temporal's SDK for Go as the drivers measure theirs: it
// reads the verbs `open` and `bench` (see sdks/conformance/protocol.md) and
// runs workflows of one activity, with their worker in this process.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	queue    = "figures"
	slots    = 500
	inFlight = 200
)

type input struct {
	N int `json:"n"`
}

type command struct {
	ID            int64
	Verb, Address string
	Kind          string
	Count         int
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

var _ sdklog.Logger = silent{}

func echo(_ context.Context, in input) (input, error) { return in, nil }

func work(ctx workflow.Context, in input) (input, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var out input
	err := workflow.ExecuteActivity(ctx, echo, in).Get(ctx, &out)
	return out, err
}

func open(address string) (client.Client, error) {
	connected, err := client.Dial(client.Options{HostPort: address, Logger: silent{}})
	if err != nil {
		return nil, err
	}
	serving := worker.New(connected, queue, worker.Options{
		MaxConcurrentActivityExecutionSize:     slots,
		MaxConcurrentWorkflowTaskExecutionSize: slots,
		MaxConcurrentActivityTaskPollers:       20,
		MaxConcurrentWorkflowTaskPollers:       20,
	})
	serving.RegisterWorkflow(work)
	serving.RegisterActivity(echo)
	return connected, serving.Start()
}

func run(connected client.Client, n int) error {
	ctx := context.Background()
	started, err := connected.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: queue}, work, input{n})
	if err != nil {
		return err
	}
	var out input
	if err := started.Get(ctx, &out); err != nil {
		return err
	}
	if out.N != n {
		return fmt.Errorf("the output of %d is %d", n, out.N)
	}
	return nil
}

func latency(connected client.Client, count int) (any, error) {
	var took []float64
	for n := range count {
		at := time.Now()
		if err := run(connected, n); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(at).Microseconds())/1000)
	}
	slices.Sort(took)
	return map[string]float64{"p50Ms": took[count/2], "p99Ms": took[count*99/100]}, nil
}

func starts(connected client.Client, count int) (any, error) {
	began, cpu := time.Now(), cpuSeconds()
	numbers, failures := make(chan int), make(chan error, inFlight)
	var all sync.WaitGroup
	for range inFlight {
		all.Go(func() {
			for n := range numbers {
				if err := run(connected, n); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	for n := range count {
		select {
		case numbers <- n:
		case err := <-failures:
			return nil, err
		}
	}
	close(numbers)
	all.Wait()
	select {
	case err := <-failures:
		return nil, err
	default:
	}
	rate := float64(count) / time.Since(began).Seconds()
	return map[string]float64{"perSecond": rate, "cpuSeconds": cpuSeconds() - cpu}, nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	var connected client.Client
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		var value any = struct{}{}
		switch {
		case err != nil:
		case c.Verb == "open":
			connected, err = open(c.Address)
		case c.Kind == "latency":
			value, err = latency(connected, c.Count)
		default:
			value, err = starts(connected, c.Count)
		}
		answer := map[string]any{"id": c.ID, "value": value}
		if err != nil {
			answer = map[string]any{"id": c.ID, "error": err.Error()}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(text))
	}
}
