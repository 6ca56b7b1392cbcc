package dev.flowmesh.sdk.worker;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.worker.v1.TaskResult;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.Value;
import dev.flowmesh.sdk.internal.Caller;
import io.grpc.Context;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** A task with its handler, which runs once. */
final class RunningTask implements Runnable, Task {
  private static final int HEARTBEAT_BYTES = 64 * 1024;

  private final Caller caller;
  private final WorkStream stream;
  private final Worker.Registered<?> registered;
  private final Tracer tracer;
  private final dev.flowmesh.api.worker.v1.Task message;
  private final ByteString config;
  private final Context.CancellableContext context;
  private Thread thread;
  private volatile String unwanted = "";

  RunningTask(
      Caller caller,
      WorkStream stream,
      Worker.Registered<?> registered,
      Tracer tracer,
      dev.flowmesh.api.worker.v1.Task message,
      ByteString config) {
    this.caller = caller;
    this.stream = stream;
    this.registered = registered;
    this.tracer = tracer;
    this.message = message;
    this.config = config;
    this.context = Caller.traced(message.getTraceparent()).withCancellation();
  }

  /** Interrupts the handler, and ends its calls. */
  void cancel(String cause) {
    synchronized (this) {
      if (unwanted.isEmpty()) {
        unwanted = cause;
        if (thread != null) {
          thread.interrupt();
        }
      }
    }
  }

  @Override
  public void run() {
    TaskResult result = Results.failed(message.getToken(), "Panic", "the handler did not end");
    ScheduledFuture<?> limit = null;
    Context former = context.attach();
    try {
      limit = limit();
      synchronized (this) {
        thread = Thread.currentThread();
        if (!unwanted.isEmpty()) {
          thread.interrupt();
        }
      }
      result = outcome(registered);
    } catch (Throwable failed) {
      result = Results.thrown(caller.codec, message.getToken(), failed, unwanted);
    } finally {
      synchronized (this) {
        thread = null;
        Thread.interrupted(); // belongs to this task alone
      }
      if (limit != null) {
        limit.cancel(false);
      }
      context.detach(former);
      context.cancel(null);
      stream.done(result);
    }
  }

  private ScheduledFuture<?> limit() {
    if (message.getTimeoutMs() <= 0) {
      return null;
    }
    try {
      return caller.timer.schedule(
          () -> cancel("Timeout"), message.getTimeoutMs(), TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException closed) {
      return null;
    }
  }

  private <I> TaskResult outcome(Worker.Registered<I> handler) {
    I input;
    try {
      input = caller.codec.decode(caller.unpack(message.getInput()), handler.input());
    } catch (FlowmeshException wrong) {
      return Results.transfer(message.getToken(), "input", wrong);
    }
    Consumer<Throwable> span = tracer.begin(this);
    Object output;
    try {
      output = handler.handler().run(input, this);
      span.accept(null);
    } catch (Throwable failed) {
      span.accept(failed);
      if (unwanted.isEmpty()) {
        String text = "attempt {0} of {1} in {2} failed: {3}";
        WorkStream.LOG.log(Level.WARNING, text, attempt(), node(), executionId(), failed);
      }
      return Results.thrown(caller.codec, message.getToken(), failed, unwanted);
    }
    try {
      return TaskResult.newBuilder()
          .setToken(message.getToken())
          .setOutput(caller.pack(output))
          .build();
    } catch (FlowmeshException wrong) {
      return Results.transfer(message.getToken(), "output", wrong);
    }
  }

  // The facts ------------------------------------------------------------------

  @Override
  public void heartbeat(Object details) throws InterruptedException {
    if (canceled()) {
      throw new InterruptedException("the task is not wanted any more: " + unwanted);
    }
    byte[] data = details == null ? new byte[0] : caller.codec.encode(details);
    if (data.length > HEARTBEAT_BYTES) {
      String text = "the details of a heartbeat have %d bytes; the limit is %d";
      throw new FlowmeshException(
          Kind.TOO_LARGE, "PAYLOAD_TOO_LARGE", String.format(text, data.length, HEARTBEAT_BYTES));
    }
    stream.heartbeat(message.getToken(), ByteString.copyFrom(data));
  }

  @Override
  public boolean canceled() {
    return !unwanted.isEmpty();
  }

  @Override
  public String idempotencyKey() {
    return message.getIdempotencyKey();
  }

  @Override
  public int attempt() {
    return message.getAttempt();
  }

  @Override
  public String executionId() {
    return message.getExecutionId();
  }

  @Override
  public String workflowId() {
    return message.getWorkflowId();
  }

  @Override
  public String namespace() {
    return message.getNamespace();
  }

  @Override
  public String node() {
    return message.getNode();
  }

  @Override
  public String taskType() {
    return message.getTaskType();
  }

  @Override
  public String queue() {
    return message.getQueue();
  }

  @Override
  public String traceparent() {
    return message.getTraceparent();
  }

  @Override
  public Duration timeout() {
    return Duration.ofMillis(message.getTimeoutMs());
  }

  @Override
  public Value config() {
    return new Value(caller.codec, config.toByteArray(), "", config.size());
  }
}
