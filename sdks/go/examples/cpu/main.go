// Command cpu serves a task that computes for a while: it sends heartbeats,
// and ends early if the task is canceled.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/worker"
)

//go:embed cpu.yaml
var definition []byte

type request struct {
	Below int `json:"below"`
}

func countPrimes(ctx context.Context, r request) (int, error) {
	count := 0
	for number := 2; number < r.Below; number++ {
		if number%10_000 == 0 {
			// An error means that the task is no longer wanted.
			if err := worker.Heartbeat(ctx, map[string]int{"tested": number}); err != nil {
				return 0, err
			}
		}
		if isPrime(number) {
			count++
		}
	}
	return count, nil
}

func isPrime(number int) bool {
	for factor := 2; factor*factor <= number; factor++ {
		if number%factor == 0 {
			return false
		}
	}
	return true
}

func main() {
	ctx := context.Background()
	client, err := flowmesh.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	w := worker.New(client, worker.Slots(2))
	worker.Handle(w, "count-primes", countPrimes)
	if err := w.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer w.Stop()
	if _, err := client.Apply(ctx, definition); err != nil {
		log.Fatal(err)
	}
	count, err := flowmesh.Run[int](ctx, client, "count-primes", request{100_000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count, "primes")
}
