package dev.flowmesh.sdk;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.common.v1.PayloadReference;
import dev.flowmesh.api.definition.v1.ApplyRequest;
import dev.flowmesh.api.definition.v1.ApplyResponse;
import dev.flowmesh.api.definition.v1.DefinitionServiceGrpc;
import dev.flowmesh.api.event.v1.EventServiceGrpc;
import dev.flowmesh.api.event.v1.WatchEventsRequest;
import dev.flowmesh.api.event.v1.WatchEventsResponse;
import dev.flowmesh.api.execution.v1.ExecutionServiceGrpc;
import dev.flowmesh.api.execution.v1.ExecutionStatus;
import dev.flowmesh.api.execution.v1.ListExecutionsRequest;
import dev.flowmesh.api.execution.v1.StartExecutionRequest;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Convert;
import dev.flowmesh.sdk.internal.Limits;
import dev.flowmesh.sdk.internal.Pages;
import dev.flowmesh.sdk.internal.Watch;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.Deadline;
import io.grpc.stub.ClientCalls;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Calls to one address, in one namespace: starts executions of workflows, waits for them, watches
 * and steers them. It is safe for use by many threads, and opens connections as its calls need
 * them.
 */
public final class FlowmeshClient implements AutoCloseable {
  // A shorter wait than servers accept finds a lost server sooner.
  private static final Duration WAIT_MAX = Duration.ofSeconds(30);

  private final Caller caller;
  private Session shared;

  FlowmeshClient(Caller caller) {
    this.caller = caller;
  }

  /**
   * Begins a client.
   *
   * @return with the defaults of the environment
   */
  public static ClientBuilder builder() {
    return new ClientBuilder();
  }

  /**
   * Returns a client of an address once its server responds.
   *
   * @param address as in {@link ClientBuilder#address}
   * @return the client
   */
  public static FlowmeshClient connect(String address) {
    return builder().address(address).build().connected();
  }

  /**
   * Waits for the server, for 5 s at most; closes the client if there is none.
   *
   * @return this
   */
  public FlowmeshClient connected() {
    try {
      caller.ready();
      return this;
    } catch (RuntimeException failed) {
      close();
      throw failed;
    }
  }

  /** Closes the connections. Open calls fail as closed, as later ones do. */
  @Override
  public void close() {
    caller.close();
  }

  /**
   * Returns the namespace.
   *
   * @return of all calls
   */
  public String namespace() {
    return caller.namespace;
  }

  /**
   * Returns the connections, for generated stubs of services that this class does not cover.
   * Failures of their calls are those of gRPC; nothing is retried.
   *
   * @return a channel with the credential of this client
   */
  public Channel channel() {
    return caller.channel();
  }

  /**
   * Returns the calls, for the packages of this SDK.
   *
   * @return not a part of the API
   */
  public Caller caller() {
    return caller;
  }

  // Executions -----------------------------------------------------------------

  /**
   * Starts an execution, waits for its end and returns its output.
   *
   * @param <T> the type of the output
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @param output the class of the output
   * @return the output
   * @throws ExecutionFailedException if it did not complete
   */
  public <T> T run(String workflow, Object input, Class<T> output)
      throws ExecutionFailedException {
    return run(workflow, input, output, StartOptions.NONE);
  }

  /**
   * Starts an execution, waits for its end and returns its output.
   *
   * @param <T> the type of the output
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @param output the class of the output
   * @param options after their timeout the execution runs on
   * @return the output
   * @throws ExecutionFailedException if it did not complete
   */
  public <T> T run(String workflow, Object input, Class<T> output, StartOptions options)
      throws ExecutionFailedException {
    Deadline until = deadline(options.timeout());
    Duration wait = min(WAIT_MAX, until);
    StartOptions waiting = options.withTimeout(wait);
    return start(workflow, input, output, waiting, until).result(until);
  }

  /**
   * Starts an execution; its output follows. All those of a client use one stream, and no thread
   * waits.
   *
   * @param <T> the type of the output
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @param output the class of the output
   * @return fails with an {@link ExecutionFailedException} or a {@link FlowmeshException}
   */
  public <T> CompletableFuture<T> runAsync(String workflow, Object input, Class<T> output) {
    Session session;
    synchronized (this) {
      if (shared == null) {
        shared = session();
      }
      session = shared;
    }
    return session.start(workflow, input).resultAsync(output);
  }

  /**
   * Starts an execution. It is durable once this returns.
   *
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @return with untyped output
   */
  public Handle<Object> start(String workflow, Object input) {
    return start(workflow, input, Object.class, StartOptions.NONE);
  }

  /**
   * Starts an execution. It is durable once this returns.
   *
   * @param <T> the type of the output
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @param output the class of the output
   * @param options with a timeout, the call waits for the end
   * @return the handle
   */
  public <T> Handle<T> start(
      String workflow, Object input, Class<T> output, StartOptions options) {
    return start(workflow, input, output, options, (Deadline) null);
  }

  private <T> Handle<T> start(
      String workflow, Object input, Class<T> output, StartOptions options, Deadline until) {
    Duration wait = options.timeout() == null ? Duration.ZERO : options.timeout();
    StartExecutionRequest request =
        request(workflow, input, options).setWaitMs(wait.toMillis()).build();
    var response =
        caller.call(
            ExecutionServiceGrpc.getStartExecutionMethod(),
            request,
            Limits.CALL.plus(wait),
            until);
    return new Handle<>(
        caller,
        response.getExecutionId(),
        response.getCreated(),
        output,
        response.hasExecution() ? response.getExecution() : null);
  }

  /** Returns the message of a start. */
  StartExecutionRequest.Builder request(String workflow, Object input, StartOptions options) {
    String id = options.requestId();
    return StartExecutionRequest.newBuilder()
        .setNamespace(caller.namespace)
        .setActor(caller.actor)
        .setWorkflowId(workflow)
        .setInput(caller.pack(input))
        .setRequestId(id.isEmpty() ? UUID.randomUUID().toString() : id)
        .setVersion(options.version())
        .setVersionLabel(options.versionLabel())
        .putAllLabels(options.labels())
        .addAllPermissions(options.permissions());
  }

  static Deadline deadline(Duration limit) {
    return limit == null
        ? null
        : Deadline.after(Math.max(0, limit.toMillis()), TimeUnit.MILLISECONDS);
  }

  static Duration min(Duration wait, Deadline until) {
    if (until == null) {
      return wait;
    }
    // The server ends the wait a little before the deadline does.
    long left = until.timeRemaining(TimeUnit.MILLISECONDS) - 20;
    return Duration.ofMillis(Math.max(1, Math.min(wait.toMillis(), left)));
  }

  /**
   * Returns the handle of an execution that exists, without a call.
   *
   * @param id of the execution
   * @return with untyped output
   */
  public Handle<Object> handle(String id) {
    return handle(id, Object.class);
  }

  /**
   * Returns the handle of an execution that exists, without a call.
   *
   * @param <T> the type of the output
   * @param id of the execution
   * @param output the class of the output
   * @return the handle
   */
  public <T> Handle<T> handle(String id, Class<T> output) {
    return new Handle<>(caller, id, false, output, null);
  }

  /**
   * Opens a session, for many starts. It ends with its close, or with the client.
   *
   * @return the session
   */
  public Session session() {
    return new Session(this, caller);
  }

  /**
   * Lists executions page by page, without their nodes, inputs and outputs.
   *
   * @param options the selection
   * @return each iteration makes calls of its own
   */
  public Iterable<Execution> list(ListOptions options) {
    ListExecutionsRequest.Builder request =
        ListExecutionsRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setWorkflowId(options.workflow())
            .setFilter(options.filter())
            .setOrderBy(options.orderBy())
            .setPageSize(options.pageSize())
            .setStartedAfterUs(micros(options.from()))
            .setStartedBeforeUs(micros(options.to()));
    for (Status each : options.statuses()) {
      request.addStatuses(ExecutionStatus.valueOf("EXECUTION_STATUS_" + each.name()));
    }
    return () ->
        new Pages<>(
            token -> {
              var page =
                  caller.call(
                      ExecutionServiceGrpc.getListExecutionsMethod(),
                      request.clone().setPageToken(token).build());
              return new Pages.Page<>(
                  page.getExecutionsList().stream()
                      .map(each -> Convert.execution(caller.codec, each))
                      .toList(),
                  page.getNextPageToken());
            });
  }

  private static long micros(Instant at) {
    return at == null ? 0 : ChronoUnit.MICROS.between(Instant.EPOCH, at);
  }

  /**
   * Watches the events of all executions of the namespace, until the stream is closed. A broken
   * stream is opened again after the last event received.
   *
   * @param workflow a workflow, or empty
   * @param cursor of the event after which to resume; empty begins now
   * @param types public names of events; none for all
   * @return to be closed
   */
  public Stream<Event> events(String workflow, String cursor, String... types) {
    WatchEventsRequest.Builder request =
        WatchEventsRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setWorkflowId(workflow)
            .setCursor(cursor)
            .addAllTypes(List.of(types));
    return new Watch<WatchEventsResponse, Event>(caller) {
      @Override
      protected Iterator<WatchEventsResponse> open() {
        return ClientCalls.blockingServerStreamingCall(
            caller.channel(),
            EventServiceGrpc.getWatchEventsMethod(),
            CallOptions.DEFAULT,
            request.build());
      }

      @Override
      protected Event accept(WatchEventsResponse message) {
        if (!message.getCursor().isEmpty()) {
          request.setCursor(message.getCursor());
        }
        return message.hasEvent()
            ? Convert.event(message.getEvent(), request.getCursor())
            : null;
      }
    }.stream();
  }

  // Definitions and values -----------------------------------------------------

  /**
   * Registers all workflows and tasks of a source, or none.
   *
   * @param source YAML or JSON
   * @return a row per resource
   * @throws FlowmeshException with a violation for each problem, with its line and column
   */
  public List<Resource> apply(String source) {
    ApplyRequest request =
        ApplyRequest.newBuilder()
            .setNamespace(caller.namespace)
            .setActor(caller.actor)
            .setRequestId(UUID.randomUUID().toString())
            .setSource(ByteString.copyFrom(source, StandardCharsets.UTF_8))
            .build();
    ApplyResponse response = caller.call(DefinitionServiceGrpc.getApplyMethod(), request);
    return response.getResourcesList().stream()
        .map(
            each ->
                new Resource(
                    each.getKind(),
                    each.getName(),
                    each.getVersion(),
                    each.getDigest(),
                    each.getCreated()))
        .toList();
  }

  /**
   * Registers all workflows and tasks of a file, or none.
   *
   * @param file YAML or JSON
   * @return a row per resource
   * @throws java.io.IOException if it cannot be read
   */
  public List<Resource> apply(Path file) throws java.io.IOException {
    return apply(java.nio.file.Files.readString(file));
  }

  /**
   * Stores a value of up to 64 MiB. Starts, signals and handlers do so themselves with values above
   * 256 KiB.
   *
   * @param value any value of JSON
   * @return its reference
   */
  public Value store(Object value) {
    PayloadReference stored = caller.put(caller.codec.encode(value)).getReference();
    return new Value(caller.codec, new byte[0], stored.getDigest(), stored.getSizeBytes());
  }

  /**
   * Reads a value; a stored one is fetched, and its digest checked.
   *
   * @param <T> the type
   * @param value of an execution
   * @param type its class
   * @return the value
   */
  public <T> T fetch(Value value, Class<T> type) {
    return value.digest().isEmpty() ? value.as(type) : fetch(value.digest(), type);
  }

  /**
   * Reads a stored value and checks its digest.
   *
   * @param <T> the type
   * @param digest of the value
   * @param type its class
   * @return the value
   */
  public <T> T fetch(String digest, Class<T> type) {
    return caller.codec.decode(caller.get(digest), type);
  }
}
