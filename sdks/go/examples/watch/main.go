// Command watch prints the events of an execution while it runs.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"

	"flowmesh.dev/sdk"
)

//go:embed watch.yaml
var definition []byte

func main() {
	ctx := context.Background()
	client, err := flowmesh.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Apply(ctx, definition); err != nil {
		log.Fatal(err)
	}
	handle, err := client.Start(ctx, "watched", nil)
	if err != nil {
		log.Fatal(err)
	}
	completed := flowmesh.OfTypes("WorkflowStarted", "TaskCompleted")
	for event, err := range handle.Events(ctx, completed) {
		if err != nil {
			log.Fatal(err)
		}
		if event.Node == "" {
			fmt.Println(event.Type)
		} else {
			fmt.Println(event.Type, event.Node)
		}
	}
}
