// Command hello registers a workflow, serves its task and runs it.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"

	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/worker"
)

//go:embed hello.yaml
var definition []byte

type person struct {
	Name string `json:"name"`
}

func greet(_ context.Context, p person) (string, error) { return "Hello " + p.Name, nil }

func main() {
	ctx := context.Background()
	client, err := flowmesh.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	w := worker.New(client)
	worker.Handle(w, "greet", greet)
	if err := w.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer w.Stop()
	if _, err := client.Apply(ctx, definition); err != nil {
		log.Fatal(err)
	}
	greeting, err := flowmesh.Run[string](ctx, client, "hello", person{"Ada"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
}
