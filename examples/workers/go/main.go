// A worker in Go on the bare contract: docs/workers-in-other-languages.md goes through it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	workerv1 "flowmesh.dev/gen/flowmesh/api/worker/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const slots = 10

type worker struct {
	stream  grpc.BidiStreamingClient[workerv1.WorkRequest, workerv1.WorkResponse]
	results chan *workerv1.TaskResult
	frame   int64
	unacked map[int64][]*workerv1.TaskResult
	running map[string]context.CancelFunc
	drained bool
}

func main() {
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	stream, err := workerv1.NewWorkerServiceClient(connection).Work(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	// 1. Hello: who this is, what it runs, and how much at once.
	send(stream, &workerv1.WorkRequest{Hello: &workerv1.WorkHello{
		WorkerId:  fmt.Sprintf("greeter-go-%d-%d", os.Getpid(), time.Now().UnixNano()),
		TaskTypes: []string{"greet-in-go"},
		Slots:     slots,
	}})
	w := &worker{
		stream:  stream,
		results: make(chan *workerv1.TaskResult, slots),
		unacked: map[int64][]*workerv1.TaskResult{},
		running: map[string]context.CancelFunc{},
	}
	w.serve()
}

// Everything that is sent is sent from here: a stream takes one message at a time.
func (w *worker) serve() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	received := make(chan *workerv1.WorkResponse)
	go receive(w.stream, received)
	ping := time.NewTicker(3 * time.Second)
	for {
		select {
		case message, open := <-received:
			if !open {
				log.Fatal("the stream ended; a real worker opens it again with the same worker id")
			}
			w.take(message)
		case result := <-w.results:
			w.finish(result)
		case <-ping.C:
			// 5. Without a word for ten seconds a worker counts as gone.
			send(w.stream, &workerv1.WorkRequest{Ping: true})
		case <-stop:
			// 6. Drain: no more tasks, and an end once what runs has been acknowledged.
			w.drained = true
			send(w.stream, &workerv1.WorkRequest{Drain: true})
		}
		if w.drained && len(w.running) == 0 && len(w.unacked) == 0 {
			return
		}
	}
}

func (w *worker) take(message *workerv1.WorkResponse) {
	if message.Pong && len(w.running) == 0 {
		log.Println("serving")
	}
	// 2. Tasks: never more than there are free slots. That is the credit.
	for _, task := range message.Tasks {
		ctx, cancel := context.WithCancel(context.Background())
		if task.TimeoutMs > 0 {
			limit := time.Duration(task.TimeoutMs) * time.Millisecond
			ctx, cancel = context.WithTimeout(context.Background(), limit)
		}
		w.running[task.Token] = cancel
		go func() { w.results <- run(ctx, task) }()
	}
	// 4. Acknowledged results are committed; those of this frame need not be kept any more.
	delete(w.unacked, message.AcknowledgedFrame)
	for _, token := range message.Cancels {
		if cancel := w.running[token]; cancel != nil {
			cancel()
		}
	}
}

// 3. Results: a frame has a number, from 1; its results are kept until it is acknowledged.
func (w *worker) finish(result *workerv1.TaskResult) {
	w.running[result.Token]()
	delete(w.running, result.Token)
	w.frame++
	results := []*workerv1.TaskResult{result}
	w.unacked[w.frame] = results
	send(w.stream, &workerv1.WorkRequest{ResultsFrame: w.frame, Results: results})
}

// The handler: JSON in, JSON out, or a failure whose class the retry policy knows.
func run(ctx context.Context, task *workerv1.Task) *workerv1.TaskResult {
	var input struct{ Name string }
	if err := json.Unmarshal(task.Input.GetData(), &input); err != nil || input.Name == "" {
		return failed(task, "ValidationError", "name is missing")
	}
	if ctx.Err() != nil {
		return failed(task, "Cancelled", "the task was canceled")
	}
	output, _ := json.Marshal(map[string]any{
		"greeting": "Hello " + input.Name, "attempt": task.Attempt,
	})
	return &workerv1.TaskResult{
		Token:   task.Token,
		Outcome: &workerv1.TaskResult_Output{Output: &commonv1.Payload{Data: output}},
	}
}

func failed(task *workerv1.Task, class, message string) *workerv1.TaskResult {
	failure := &commonv1.Failure{Class: class, Message: message}
	return &workerv1.TaskResult{
		Token: task.Token, Outcome: &workerv1.TaskResult_Failure{Failure: failure},
	}
}

func receive(
	stream grpc.BidiStreamingClient[workerv1.WorkRequest, workerv1.WorkResponse],
	received chan<- *workerv1.WorkResponse,
) {
	defer close(received)
	for {
		message, err := stream.Recv()
		if err != nil {
			log.Println(err)
			return
		}
		received <- message
	}
}

func send(
	stream grpc.BidiStreamingClient[workerv1.WorkRequest, workerv1.WorkResponse],
	message *workerv1.WorkRequest,
) {
	if err := stream.Send(message); err != nil {
		log.Fatal(err)
	}
}
