package main

import (
	"context"
	"math"
	"slices"
	"syscall"
	"time"

	"flowmesh.dev/sdk"
)

func (d *driver) bench(ctx context.Context, c *command) (any, error) {
	client, began, cpu := d.client(c), time.Now(), cpuTime()
	switch c.Kind {
	case "latency":
		var took []float64
		for n := range c.Count {
			at := time.Now()
			if _, err := flowmesh.Run[any](ctx, client, c.Workflow, object{"n": n}); err != nil {
				return nil, err
			}
			took = append(took, float64(time.Since(at).Microseconds())/1000)
		}
		slices.Sort(took)
		return object{"p50Ms": took[c.Count/2], "p99Ms": took[c.Count*99/100]}, nil
	case "starts":
		session := client.Session(ctx)
		defer session.Close()
		var calls []*flowmesh.SessionCall
		for n := range c.Count {
			call, err := session.Start(ctx, c.Workflow, object{"n": n})
			if err != nil {
				return nil, err
			}
			calls = append(calls, call)
		}
		for _, call := range calls {
			if _, err := flowmesh.SessionOutput[any](ctx, call); err != nil {
				return nil, err
			}
		}
	default:
		ledger := of(d, d.workers, c.Worker).ledger
		for !ledger.reached(c.Count) {
			time.Sleep(5 * time.Millisecond)
		}
		began = ledger.began
	}
	took := time.Since(began).Seconds()
	return object{"perSecond": float64(c.Count) / took, "cpuSeconds": cpuTime() - cpu}, nil
}

func cpuTime() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return math.NaN()
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
