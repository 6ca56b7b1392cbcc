package dev.flowmesh.stub;

import dev.flowmesh.api.common.v1.Payload;
import dev.flowmesh.api.execution.v1.Execution;
import dev.flowmesh.api.execution.v1.ExecutionServiceGrpc;
import dev.flowmesh.api.execution.v1.ExecutionStatus;
import dev.flowmesh.api.execution.v1.SessionRequest;
import dev.flowmesh.api.execution.v1.SessionResponse;
import dev.flowmesh.api.execution.v1.SessionResult;
import dev.flowmesh.api.execution.v1.StartExecutionRequest;
import dev.flowmesh.api.execution.v1.StartExecutionResponse;
import dev.flowmesh.api.worker.v1.Task;
import dev.flowmesh.api.worker.v1.TaskResult;
import dev.flowmesh.api.worker.v1.WorkRequest;
import dev.flowmesh.api.worker.v1.WorkResponse;
import dev.flowmesh.api.worker.v1.WorkerServiceGrpc;
import dev.flowmesh.sdk.FlowmeshClient;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** A server that answers by functions, and sends given tasks to every worker. */
public final class Stub implements AutoCloseable {
  /** The metadata of each call. */
  public final List<Metadata> metadata = new CopyOnWriteArrayList<>();

  /** The refusal of all calls; null serves them. */
  public volatile StatusRuntimeException refusal;

  private final Server server;
  private final List<Task> tasks;
  private final Function<StartExecutionRequest, StartExecutionResponse> start;
  private final Map<String, TaskResult> results = new ConcurrentHashMap<>();
  private final BlockingQueue<TaskResult> received = new LinkedBlockingQueue<>();

  /** A server whose executions complete with their input. */
  public Stub(Task... tasks) throws IOException {
    this(request -> completed(request.getInput()), tasks);
  }

  /** A server that answers starts by a function; its exceptions are those of the calls. */
  public Stub(Function<StartExecutionRequest, StartExecutionResponse> start, Task... tasks)
      throws IOException {
    this.start = start;
    this.tasks = List.of(tasks);
    this.server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .addService(new Executions())
            .addService(new Workers())
            .intercept(new Received())
            .build()
            .start();
  }

  /** Returns the answer of an execution that completed with an output. */
  public static StartExecutionResponse completed(Payload output) {
    Execution ended =
        Execution.newBuilder()
            .setExecutionId("e")
            .setStatus(ExecutionStatus.EXECUTION_STATUS_COMPLETED)
            .setOutput(output)
            .build();
    return StartExecutionResponse.newBuilder()
        .setExecutionId("e")
        .setCreated(true)
        .setExecution(ended)
        .build();
  }

  /** Returns the address of the server. */
  public String address() {
    return "127.0.0.1:" + server.getPort();
  }

  /** Returns a client of the server, without the environment. */
  public FlowmeshClient client() {
    return FlowmeshClient.builder().address(address()).withoutCredential().build();
  }

  /** Returns the result of a task once it is there. */
  public TaskResult result(String token) throws InterruptedException {
    while (!results.containsKey(token)) {
      TaskResult next = received.poll(10, TimeUnit.SECONDS);
      if (next == null) {
        throw new AssertionError("no result of " + token + ", only of " + results.keySet());
      }
      results.put(next.getToken(), next);
    }
    return results.get(token);
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  private final class Received implements ServerInterceptor {
    @Override
    public <Q, S> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, S> call, Metadata headers, ServerCallHandler<Q, S> next) {
      metadata.add(headers);
      StatusRuntimeException refused = refusal;
      if (refused != null) {
        call.close(refused.getStatus(), refused.getTrailers());
        return new ServerCall.Listener<>() {};
      }
      return next.startCall(call, headers);
    }
  }

  private final class Executions extends ExecutionServiceGrpc.ExecutionServiceImplBase {
    @Override
    public void startExecution(
        StartExecutionRequest request, StreamObserver<StartExecutionResponse> observer) {
      try {
        observer.onNext(start.apply(request));
        observer.onCompleted();
      } catch (RuntimeException failed) {
        observer.onError(failed);
      }
    }

    @Override
    public StreamObserver<SessionRequest> session(StreamObserver<SessionResponse> observer) {
      return new Inbox<>(observer, Stub::ended);
    }
  }

  private static SessionResponse ended(SessionRequest request) {
    SessionResponse.Builder response = SessionResponse.newBuilder();
    for (var each : request.getStartsList()) {
      response.addResults(
          SessionResult.newBuilder()
              .setCallId(each.getCallId())
              .setExecutionId("e")
              .setOutput(each.getStart().getInput())
              .setStatus(ExecutionStatus.EXECUTION_STATUS_COMPLETED));
    }
    return response.build();
  }

  private final class Workers extends WorkerServiceGrpc.WorkerServiceImplBase {
    @Override
    public StreamObserver<WorkRequest> work(StreamObserver<WorkResponse> observer) {
      return new Inbox<>(
          observer,
          request -> {
            received.addAll(request.getResultsList());
            WorkResponse.Builder response =
                WorkResponse.newBuilder()
                    .setPong(true)
                    .setAcknowledgedFrame(request.getResultsFrame());
            return (request.hasHello() ? response.addAllTasks(tasks) : response).build();
          });
    }
  }

  private record Inbox<Q, S>(StreamObserver<S> observer, Function<Q, S> answer)
      implements StreamObserver<Q> {
    @Override
    public void onNext(Q request) {
      observer.onNext(answer.apply(request));
    }

    @Override
    public void onError(Throwable broken) {}

    @Override
    public void onCompleted() {
      observer.onCompleted();
    }
  }
}
