package dev.flowmesh.sdk;

import dev.flowmesh.api.event.v1.EventServiceGrpc;
import dev.flowmesh.api.event.v1.LifecycleEvent;
import dev.flowmesh.api.event.v1.WatchExecutionRequest;
import dev.flowmesh.api.event.v1.WatchExecutionResponse;
import dev.flowmesh.api.execution.v1.CancelExecutionRequest;
import dev.flowmesh.api.execution.v1.ExecutionServiceGrpc;
import dev.flowmesh.api.execution.v1.GetExecutionRequest;
import dev.flowmesh.api.execution.v1.PauseExecutionRequest;
import dev.flowmesh.api.execution.v1.ResumeExecutionRequest;
import dev.flowmesh.api.execution.v1.SignalExecutionRequest;
import dev.flowmesh.api.execution.v1.TerminateExecutionRequest;
import dev.flowmesh.api.execution.v1.WaitExecutionRequest;
import dev.flowmesh.api.history.v1.HistoryEvent;
import dev.flowmesh.api.history.v1.HistoryServiceGrpc;
import dev.flowmesh.api.history.v1.ListHistoryEventsRequest;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Convert;
import dev.flowmesh.sdk.internal.Limits;
import dev.flowmesh.sdk.internal.Pages;
import dev.flowmesh.sdk.internal.Watch;
import io.grpc.CallOptions;
import io.grpc.Deadline;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * One execution by its id. It holds no connection open.
 *
 * @param <T> the type of the output
 */
public final class Handle<T> {
  private static final Duration WAIT_MAX = Duration.ofSeconds(30);

  private final Caller caller;
  private final String id;
  private final boolean created;
  private final Class<T> output;
  private volatile dev.flowmesh.api.execution.v1.Execution ended;

  Handle(
      Caller caller,
      String id,
      boolean created,
      Class<T> output,
      dev.flowmesh.api.execution.v1.Execution ended) {
    this.caller = caller;
    this.id = id;
    this.created = created;
    this.output = output;
    this.ended = ended;
  }

  /**
   * Returns the id of the execution.
   *
   * @return its id
   */
  public String id() {
    return id;
  }

  /**
   * Returns whether this start has started the execution.
   *
   * @return false if an earlier one with the same request id has
   */
  public boolean created() {
    return created;
  }

  // The end --------------------------------------------------------------------

  /**
   * Waits for the end and returns the output.
   *
   * @return the output
   * @throws ExecutionFailedException if it did not complete
   */
  public T result() throws ExecutionFailedException {
    return result((Deadline) null);
  }

  /**
   * Waits for the end and returns the output.
   *
   * @param limit the longest wait, after which the execution runs on
   * @return the output
   * @throws ExecutionFailedException if it did not complete
   */
  public T result(Duration limit) throws ExecutionFailedException {
    return result(FlowmeshClient.deadline(limit));
  }

  T result(Deadline until) throws ExecutionFailedException {
    dev.flowmesh.api.execution.v1.Execution found = await(until);
    Status status = Convert.status(found.getStatus());
    if (status != Status.COMPLETED) {
      Failure failure =
          found.hasFailure() ? Convert.failure(caller.codec, found.getFailure()) : null;
      throw new ExecutionFailedException(id, status, failure);
    }
    if (found.hasErasure()) {
      throw new FlowmeshException(
          Kind.WRONG_STATE, "PAYLOAD_ERASED", "the values of " + id + " were erased on request");
    }
    return caller.codec.decode(caller.unpack(found.getOutput()), output);
  }

  /**
   * Waits for the end, whatever the status.
   *
   * @param limit the longest wait; null is no limit
   * @return the execution
   */
  public Execution await(Duration limit) {
    return Convert.execution(caller.codec, await(FlowmeshClient.deadline(limit)));
  }

  private dev.flowmesh.api.execution.v1.Execution await(Deadline until) {
    while (ended == null) {
      Duration wait = FlowmeshClient.min(WAIT_MAX, until);
      WaitExecutionRequest request =
          WaitExecutionRequest.newBuilder()
              .setNamespace(caller.namespace)
              .setExecutionId(id)
              .setTimeoutMs(wait.toMillis())
              .build();
      try {
        var response =
            caller.call(
                ExecutionServiceGrpc.getWaitExecutionMethod(),
                request,
                wait.plus(Limits.CALL),
                until);
        ended = response.hasExecution() ? response.getExecution() : null;
      } catch (FlowmeshException failed) {
        if (failed.kind() == Kind.TIMEOUT) {
          throw stillRuns();
        }
        throw failed;
      }
      if (ended == null && until != null && until.timeRemaining(TimeUnit.MILLISECONDS) < 20) {
        throw stillRuns();
      }
    }
    return ended;
  }

  private FlowmeshException stillRuns() {
    return new FlowmeshException(
        Kind.TIMEOUT, "SYNC_TIMEOUT", "execution " + id + " is still running");
  }

  // Reads ----------------------------------------------------------------------

  /**
   * Returns the last committed state.
   *
   * @return with all nodes
   */
  public Execution describe() {
    GetExecutionRequest request =
        GetExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .build();
    var response = caller.call(ExecutionServiceGrpc.getGetExecutionMethod(), request);
    return Convert.execution(caller.codec, response.getExecution());
  }

  /**
   * Returns the outputs of the completed nodes; large ones are fetched.
   *
   * @return by the ids of the nodes
   */
  public Map<String, Value> outputs() {
    Map<String, Value> found = new LinkedHashMap<>();
    for (Node node : describe().nodes()) {
      if (node.status().equals("completed")) {
        Value value = node.output();
        if (!value.digest().isEmpty()) {
          value = new Value(caller.codec, caller.get(value.digest()), "", value.size());
        }
        found.put(node.id(), value);
      }
    }
    return found;
  }

  /**
   * Lists the stored events.
   *
   * @param after the sequence of the event before the first
   * @return each iteration makes calls of its own
   */
  public Iterable<Event> history(long after) {
    return () -> {
      String[] workflow = {""};
      return new Pages<>(
          token -> {
            ListHistoryEventsRequest request =
                ListHistoryEventsRequest.newBuilder()
                    .setNamespace(caller.namespace)
                    .setExecutionId(id)
                    .setAfter(token.isEmpty() ? after : Long.parseLong(token))
                    .build();
            var page = caller.call(HistoryServiceGrpc.getListHistoryEventsMethod(), request);
            List<Event> events = new ArrayList<>();
            for (HistoryEvent each : page.getEventsList()) {
              if (each.hasWorkflowStarted()) {
                workflow[0] = each.getWorkflowStarted().getWorkflowId();
              }
              LifecycleEvent event =
                  LifecycleEvent.newBuilder()
                      .setExecutionId(id)
                      .setWorkflowId(workflow[0])
                      .setEvent(each)
                      .build();
              events.add(Convert.event(event, ""));
            }
            String next = page.getNextAfter() == 0 ? "" : Long.toString(page.getNextAfter());
            return new Pages.Page<>(events, next);
          });
    };
  }

  /**
   * Watches all events up to the last one.
   *
   * @return to be closed
   */
  public Stream<Event> events() {
    return events(0);
  }

  /**
   * Watches the events up to the last one, without gap or repeat. A broken stream is opened again
   * after the last event received.
   *
   * @param after the sequence of the event before the first
   * @param types public names of events; none for all. The last event is always sent
   * @return to be closed
   */
  public Stream<Event> events(long after, String... types) {
    return new Events(after, List.of(types)).stream();
  }

  private final class Events extends Watch<WatchExecutionResponse, Event> {
    private final List<String> types;
    private long known;
    // Derived events have the sequence of the event from which they are derived.
    private long derivedFrom;
    private int derivedSeen;
    private int again;

    Events(long after, List<String> types) {
      super(caller);
      this.known = after;
      this.types = types;
    }

    @Override
    protected Iterator<WatchExecutionResponse> open() {
      again = derivedSeen;
      WatchExecutionRequest request =
          WatchExecutionRequest.newBuilder()
              .setNamespace(caller.namespace)
              .setExecutionId(id)
              .setAfter(known)
              .addAllTypes(types)
              .build();
      return ClientCalls.blockingServerStreamingCall(
          caller.channel(),
          EventServiceGrpc.getWatchExecutionMethod(),
          CallOptions.DEFAULT,
          request);
    }

    @Override
    protected Event accept(WatchExecutionResponse message) {
      Event event = Convert.event(message.getEvent(), "");
      long sequence = event.sequence();
      if (message.getEvent().hasSignalFlow()) {
        if (sequence == derivedFrom && again > 0) {
          again--;
          return null;
        }
        derivedSeen = sequence == derivedFrom ? derivedSeen + 1 : 1;
        derivedFrom = sequence;
        known = Math.max(known, sequence - 1);
        return event;
      }
      if (sequence <= known) {
        return null;
      }
      if (types.isEmpty() && sequence > known + 1) {
        drop(); // events are missing: watch again from the last known one
        return null;
      }
      known = sequence;
      return event;
    }

    @Override
    protected boolean last(Event event) {
      return event.last();
    }

    @Override
    protected boolean complete() {
      try {
        Execution execution = describe();
        return execution.status().ended() && execution.lastSequence() <= known;
      } catch (FlowmeshException unknown) {
        return false;
      }
    }
  }

  // Changes --------------------------------------------------------------------

  private static String newId() {
    return UUID.randomUUID().toString();
  }

  /**
   * Sends a signal.
   *
   * @param name of the signal
   * @param payload any value of JSON
   * @return the sequence of its event
   */
  public long signal(String name, Object payload) {
    return signal(name, payload, newId());
  }

  /**
   * Sends a signal; a repeated one returns the first response.
   *
   * @param name of the signal
   * @param payload any value of JSON
   * @param requestId the id of the request
   * @return the sequence of its event
   */
  public long signal(String name, Object payload, String requestId) {
    SignalExecutionRequest request =
        SignalExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .setName(name)
            .setPayload(caller.pack(payload))
            .setRequestId(requestId)
            .setActor(caller.actor)
            .build();
    return caller.call(ExecutionServiceGrpc.getSignalExecutionMethod(), request).getSequence();
  }

  /**
   * Cancels the execution: its tasks are canceled and none starts.
   *
   * @param reason is recorded
   */
  public void cancel(String reason) {
    cancel(reason, null);
  }

  /**
   * Cancels the execution.
   *
   * @param reason is recorded
   * @param compensate whether completed nodes are undone first; null follows the workflow
   */
  public void cancel(String reason, Boolean compensate) {
    CancelExecutionRequest.Builder request =
        CancelExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .setReason(reason)
            .setRequestId(newId())
            .setActor(caller.actor);
    if (compensate != null) {
      request.setCompensate(compensate);
    }
    caller.call(ExecutionServiceGrpc.getCancelExecutionMethod(), request.build());
  }

  /**
   * Ends the execution; completed nodes are undone only if the workflow asks for it.
   *
   * @param reason is recorded
   */
  public void terminate(String reason) {
    TerminateExecutionRequest request =
        TerminateExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .setReason(reason)
            .setRequestId(newId())
            .setActor(caller.actor)
            .build();
    caller.call(ExecutionServiceGrpc.getTerminateExecutionMethod(), request);
  }

  /**
   * Pauses the execution: no task starts, running ones continue.
   *
   * @param reason is recorded
   */
  public void pause(String reason) {
    PauseExecutionRequest request =
        PauseExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .setReason(reason)
            .setRequestId(newId())
            .setActor(caller.actor)
            .build();
    caller.call(ExecutionServiceGrpc.getPauseExecutionMethod(), request);
  }

  /**
   * Resumes a paused execution.
   *
   * @param reason is recorded
   */
  public void resume(String reason) {
    ResumeExecutionRequest request =
        ResumeExecutionRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setExecutionId(id)
            .setReason(reason)
            .setRequestId(newId())
            .setActor(caller.actor)
            .build();
    caller.call(ExecutionServiceGrpc.getResumeExecutionMethod(), request);
  }
}
