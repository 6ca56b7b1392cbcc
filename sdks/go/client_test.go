package flowmesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
	"flowmesh.dev/sdk"
	"flowmesh.dev/sdk/internal/stub"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

var quiet = flowmesh.WithLogger(slog.New(slog.DiscardHandler))

func dial(t *testing.T, server *stub.Server, options ...flowmesh.Option) *flowmesh.Client {
	t.Helper()
	client, err := flowmesh.Dial(t.Context(), server.Address, append(options, quiet)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

type answer struct {
	OK      *struct{}
	Code    string
	Reason  string
	RetryMs int64
}

func (a answer) err() error {
	if a.Code == "" {
		return nil
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(`"` + a.Code + `"`)); err != nil {
		return err
	}
	found := status.New(code, "scripted")
	if a.Reason != "" {
		found, _ = found.WithDetails(&errdetails.ErrorInfo{Reason: a.Reason, Domain: "flowmesh"})
	}
	if a.RetryMs > 0 {
		delay := durationpb.New(time.Duration(a.RetryMs) * time.Millisecond)
		found, _ = found.WithDetails(&errdetails.RetryInfo{RetryDelay: delay})
	}
	return found.Err()
}

func TestRetriesFollowTheVectors(t *testing.T) {
	content, err := os.ReadFile("../conformance/vectors/retries.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name    string
		Answers []answer
		Tries   any
		Outcome string
		Verb    string
		GapsMs  [][2]int64
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, vector := range vectors {
		if vector.Verb != "" {
			continue // its number of tries is a range, checked by the conformance run
		}
		t.Run(vector.Name, func(t *testing.T) {
			t.Parallel()
			var ids []string
			var times []time.Time
			server := (&stub.Server{Start: func(r *executionv1.StartExecutionRequest) (*executionv1.StartExecutionResponse, error) {
				ids, times = append(ids, r.GetRequestId()), append(times, time.Now())
				err := vector.Answers[min(len(ids), len(vector.Answers))-1].err()
				return stub.Completed(nil), err
			}}).Serve(t)
			_, err := dial(t, server).Start(t.Context(), "any", nil)
			outcome := "ok"
			var refused *flowmesh.Error
			if errors.As(err, &refused) {
				outcome = string(refused.Kind)
			}
			if outcome != vector.Outcome || float64(len(ids)) != vector.Tries {
				t.Fatalf("%d tries ended with %s (%v)", len(ids), outcome, err)
			}
			for index, gap := range vector.GapsMs {
				took := times[index+1].Sub(times[index]).Milliseconds()
				if ids[index] != ids[0] || took < gap[0] || took > gap[1] {
					t.Errorf("try %d came after %d ms with %s", index+2, took, ids[index])
				}
			}
		})
	}
}

func TestValuesThatAreNotJSONAreRefusedBeforeTheWire(t *testing.T) {
	client := dial(t, (&stub.Server{}).Serve(t))
	cycle := map[string]any{}
	cycle["self"] = cycle
	for name, value := range map[string]any{
		"NaN": math.NaN(), "cycle": cycle, "function": func() {}, "bytes": "\xff", "raw": json.RawMessage("{"),
	} {
		if _, err := client.Start(t.Context(), "any", value); flowmesh.ReasonOf(err) != "JSON_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{`\ufffd`, "\ufffd", `\\ufffd`, "𝄞"} {
		if output, err := flowmesh.Run[string](t.Context(), client, "any", text); err != nil || output != text {
			t.Errorf("%q became %q: %v", text, output, err)
		}
	}
}

func TestLargeIntegersStayExact(t *testing.T) {
	client := dial(t, (&stub.Server{}).Serve(t))
	output, err := flowmesh.Run[any](t.Context(), client, "any", json.RawMessage(`{"n": 18446744073709551615}`))
	if err != nil || output.(map[string]any)["n"] != json.Number("18446744073709551615") {
		t.Fatalf("%v %v", output, err)
	}
}

func TestAddressesThatAreNoneAreNamed(t *testing.T) {
	for _, address := range []string{"nonsense", "ftp://host:1", "grpc://user@host:1", "host:1/path", "a b:1", "host:1\x00"} {
		_, err := flowmesh.New(address)
		if flowmesh.ReasonOf(err) != "ENDPOINT_INVALID" {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestACredentialIsNotSentInPlainTextToAnotherHost(t *testing.T) {
	_, err := flowmesh.New("example.com:7450", flowmesh.WithAPIKey("secret"))
	if flowmesh.ReasonOf(err) != "PLAINTEXT_REFUSED" || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
	if client, err := flowmesh.New("example.com:7450", flowmesh.WithAPIKey("secret"), flowmesh.WithoutTLS()); err != nil {
		t.Fatal(err)
	} else {
		client.Close()
	}
}

func TestADialToAClosedPortNamesTheAddressWithin5s(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	began := time.Now()
	_, err = flowmesh.Dial(t.Context(), address, quiet)
	if !errors.Is(err, flowmesh.ErrUnavailable) || !strings.Contains(err.Error(), address) || time.Since(began) > 7*time.Second {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
}

func TestTokenSourcesThatMisbehaveFailTheCallAlone(t *testing.T) {
	server := (&stub.Server{}).Serve(t)
	var calls atomic.Int64
	sources := map[string]flowmesh.TokenSource{
		"fails":       func(context.Context) (string, error) { return "", errors.New("no token today") },
		"line breaks": func(context.Context) (string, error) { return "a\r\nb", nil },
		"counts":      func(context.Context) (string, error) { calls.Add(1); return "token", nil },
	}
	for name, source := range sources {
		client := dial(t, server, flowmesh.WithTokenSource(source))
		for range 3 {
			_, err := client.Start(t.Context(), "any", nil)
			if (err == nil) != (name == "counts") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if calls.Load() != 1 {
		t.Errorf("the source was called %d times for one token", calls.Load())
	}
	for _, received := range server.Metadata() {
		if received.Get("authorization")[0] != "Bearer token" {
			t.Errorf("sent %v", received)
		}
	}
}

func TestADeadlineIsAnErrorOfTheContextToo(t *testing.T) {
	server := (&stub.Server{Start: func(*executionv1.StartExecutionRequest) (*executionv1.StartExecutionResponse, error) {
		time.Sleep(500 * time.Millisecond)
		return stub.Completed(nil), nil
	}}).Serve(t)
	client := dial(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Start(ctx, "any", nil)
	if !errors.Is(err, flowmesh.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Start(canceled, "any", nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestNothingRunsAfterClose(t *testing.T) {
	server := (&stub.Server{}).Serve(t)
	before := goleak.IgnoreCurrent()
	client, err := flowmesh.Dial(t.Context(), server.Address, quiet)
	if err != nil {
		t.Fatal(err)
	}
	session := client.Session(t.Context())
	for range 100 {
		call, err := session.Start(t.Context(), "any", 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flowmesh.SessionOutput[int](t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	session.Close()
	session.Close()
	if _, err := session.Start(t.Context(), "any", 1); !errors.Is(err, flowmesh.ErrClosed) {
		t.Error(err)
	}
	client.Close()
	client.Close()
	if _, err := client.Start(t.Context(), "any", 1); !errors.Is(err, flowmesh.ErrClosed) {
		t.Error(err)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*http2Server).HandleStreams"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.NewServerTransport.func2"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*http2Server).keepalive"))
}

func TestTLSAndPlainTextExcludeEachOther(t *testing.T) {
	client, err := flowmesh.New("localhost:7450", flowmesh.WithTLS(flowmesh.TLS{}), flowmesh.WithoutTLS())
	if err == nil {
		client.Close()
		t.Fatal("a client accepted both")
	}
}
