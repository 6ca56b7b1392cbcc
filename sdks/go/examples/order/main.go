// Command order runs a saga: it charges a card, waits for a signal, fails to
// ship, and refunds the card.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/worker"
)

//go:embed order.yaml
var definition []byte

type payment struct {
	Amount int `json:"amount"`
}

type receipt struct {
	Charged int `json:"charged"`
}

func charge(_ context.Context, p payment) (receipt, error) {
	fmt.Println("charged", p.Amount)
	return receipt{p.Amount}, nil
}

func refund(_ context.Context, p payment) (any, error) {
	fmt.Println("refunded", p.Amount)
	return nil, nil
}

func ship(context.Context, any) (any, error) {
	return nil, &worker.Failure{Class: "OutOfStock", Message: "no item left"}
}

func main() {
	ctx := context.Background()
	client, err := flowmesh.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	w := worker.New(client)
	worker.Handle(w, "charge-card", charge)
	worker.Handle(w, "refund-card", refund)
	worker.Handle(w, "ship-order", ship)
	if err := w.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer w.Stop()
	if err := order(ctx, client); err != nil {
		log.Fatal(err)
	}
}

func order(ctx context.Context, client *flowmesh.Client) error {
	if _, err := client.Apply(ctx, definition); err != nil {
		return err
	}
	handle, err := client.Start(ctx, "order", payment{30})
	if err != nil {
		return err
	}
	for event, err := range handle.Events(ctx, flowmesh.OfTypes("TaskCompleted")) {
		if err != nil {
			return err
		}
		if event.Node == "charge" {
			fmt.Println("waiting for the approval")
			break
		}
	}
	if _, err := handle.Signal(ctx, "approved", map[string]string{"by": "Grace"}); err != nil {
		return err
	}
	var failed *flowmesh.ExecutionError
	if err := handle.Result(ctx, new(any)); !errors.As(err, &failed) {
		return fmt.Errorf("the order did not fail: %w", err)
	}
	fmt.Printf("%s: %s\n", failed.Status, failed.Failure.Class)
	return nil
}
