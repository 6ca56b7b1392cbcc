package dev.flowmesh.sdk;

import dev.flowmesh.api.execution.v1.ExecutionServiceGrpc;
import dev.flowmesh.api.execution.v1.SessionRefused;
import dev.flowmesh.api.execution.v1.SessionRequest;
import dev.flowmesh.api.execution.v1.SessionResponse;
import dev.flowmesh.api.execution.v1.SessionResult;
import dev.flowmesh.api.execution.v1.SessionStart;
import dev.flowmesh.api.execution.v1.SessionStarted;
import dev.flowmesh.api.execution.v1.SessionWatch;
import dev.flowmesh.api.execution.v1.StartExecutionRequest;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Convert;
import dev.flowmesh.sdk.internal.Duplex;
import dev.flowmesh.sdk.internal.Failures;
import dev.flowmesh.sdk.internal.Limits;
import dev.flowmesh.sdk.internal.StreamRetry;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Many starts over one stream, which brings their results. A broken stream is opened again:
 * unacknowledged starts are sent again with their request ids. It is safe for use by many threads.
 */
public final class Session implements AutoCloseable {
  private static final int UNACKNOWLEDGED_MAX = 10_000;
  private static final double WINDOW_MIN = 10;
  private static final long FLUSH_SECONDS = 10;

  private final FlowmeshClient client;
  private final Caller caller;
  private final Semaphore room = new Semaphore(UNACKNOWLEDGED_MAX);
  private final Link link;

  Session(FlowmeshClient client, Caller caller) {
    this.client = client;
    this.caller = caller;
    this.link = new Link(caller);
    link.open();
  }

  /** A start of a session. */
  public final class Call {
    private final long number;
    private final boolean wantResult;
    private final CompletableFuture<String> started = new CompletableFuture<>();
    private final CompletableFuture<SessionResult> result = new CompletableFuture<>();
    private StartExecutionRequest request;
    private boolean inFlight;
    private long refusedNs;

    private Call(long number, StartExecutionRequest request, boolean wantResult) {
      this.number = number;
      this.request = request;
      this.wantResult = wantResult;
    }

    /**
     * Waits for the commit of the start.
     *
     * @return the id of the execution
     */
    public String id() {
      try {
        return got(started, null);
      } catch (TimeoutException impossible) {
        throw new IllegalStateException(impossible);
      }
    }

    /**
     * Waits for the end and returns the output.
     *
     * @param <T> the type of the output
     * @param output its class
     * @return the output
     * @throws ExecutionFailedException if it did not complete
     */
    public <T> T result(Class<T> output) throws ExecutionFailedException {
      return result(output, null);
    }

    /**
     * Waits for the end and returns the output.
     *
     * @param <T> the type of the output
     * @param output its class
     * @param limit the longest wait; null is no limit
     * @return the output
     * @throws ExecutionFailedException if it did not complete
     */
    public <T> T result(Class<T> output, Duration limit) throws ExecutionFailedException {
      if (!wantResult) {
        throw new FlowmeshException(
            Kind.INVALID, "REQUEST_INVALID", "the start was queued without its result");
      }
      try {
        return decoded(got(result, limit), output);
      } catch (TimeoutException late) {
        throw new FlowmeshException(
            Kind.TIMEOUT, "SYNC_TIMEOUT", "the execution is still running");
      }
    }

    /**
     * Returns the output once the execution has ended.
     *
     * @param <T> the type of the output
     * @param output its class
     * @return fails with an {@link ExecutionFailedException} or a {@link FlowmeshException}
     */
    public <T> CompletableFuture<T> resultAsync(Class<T> output) {
      return result.thenApplyAsync(
          found -> {
            try {
              return decoded(found, output);
            } catch (ExecutionFailedException failed) {
              throw new CompletionException(failed);
            }
          },
          this::runOrHere);
    }

    private void runOrHere(Runnable work) {
      try {
        caller.threads().execute(work);
      } catch (RejectedExecutionException closed) {
        work.run();
      }
    }

    private <T> T decoded(SessionResult found, Class<T> output) throws ExecutionFailedException {
      Status status = Convert.status(found.getStatus());
      if (status != Status.COMPLETED) {
        Failure failure =
            found.hasFailure() ? Convert.failure(caller.codec, found.getFailure()) : null;
        throw new ExecutionFailedException(found.getExecutionId(), status, failure);
      }
      return caller.codec.decode(caller.unpack(found.getOutput()), output);
    }
  }

  private static <V> V got(CompletableFuture<V> future, Duration limit) throws TimeoutException {
    try {
      return limit == null ? future.get() : future.get(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException interrupted) {
      throw Failures.interrupted();
    } catch (ExecutionException failed) {
      if (failed.getCause() instanceof FlowmeshException known) {
        throw new FlowmeshException(
            known.kind(),
            known.reason(),
            known.text(),
            known.violations(),
            known.retryAfter(),
            known);
      }
      throw new IllegalStateException(failed.getCause());
    }
  }

  /**
   * Queues a start; waits only while 10,000 are unacknowledged.
   *
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @return its result follows
   */
  public Call start(String workflow, Object input) {
    return start(workflow, input, StartOptions.NONE, true);
  }

  /**
   * Queues a start; waits only while 10,000 are unacknowledged.
   *
   * @param workflow the id of the workflow
   * @param input any value of JSON
   * @param options without a timeout; wait for the result with one
   * @param wantResult false if the result is not wanted
   * @return the call
   */
  public Call start(String workflow, Object input, StartOptions options, boolean wantResult) {
    if (options.timeout() != null) {
      throw new IllegalArgumentException("a start of a session has no timeout");
    }
    StartExecutionRequest request = client.request(workflow, input, options).build();
    try {
      while (!room.tryAcquire(100, TimeUnit.MILLISECONDS)) {
        if (link.finished()) {
          throw Failures.closed();
        }
      }
    } catch (InterruptedException interrupted) {
      throw Failures.interrupted();
    }
    Call call = link.add(request, "", wantResult);
    if (call == null) {
      room.release();
      throw Failures.closed();
    }
    return call;
  }

  /**
   * Returns a call whose result is that of an execution that exists.
   *
   * @param id of the execution
   * @return the call
   */
  public Call watch(String id) {
    Call call = link.add(null, id, true);
    if (call == null) {
      throw Failures.closed();
    }
    return call;
  }

  /**
   * Waits until every start is acknowledged, for 10 s at most, and ends the session. Calls without
   * a result then fail as closed.
   */
  @Override
  public void close() {
    link.close();
  }

  private final class Link extends Duplex<SessionRequest, SessionResponse> {
    private final TreeMap<Long, Call> calls = new TreeMap<>();
    private final ArrayDeque<Call> outgoing = new ArrayDeque<>();
    private final ArrayDeque<Call> watching = new ArrayDeque<>();
    private final List<Call> overloaded = new ArrayList<>();
    private long last;
    private double window = UNACKNOWLEDGED_MAX;
    private int inFlight;
    private boolean closed;

    Link(Caller caller) {
      super(caller, ExecutionServiceGrpc.getSessionMethod());
    }

    void open() {
      begin();
    }

    boolean finished() {
      synchronized (lock) {
        return closed;
      }
    }

    Call add(StartExecutionRequest request, String id, boolean wantResult) {
      synchronized (lock) {
        if (closed) {
          return null;
        }
        Call call = new Call(++last, request, wantResult);
        calls.put(call.number, call);
        if (request == null) {
          call.started.complete(id);
          watching.add(call);
        } else {
          outgoing.add(call);
        }
        lock.notifyAll();
        return call;
      }
    }

    void close() {
      synchronized (lock) {
        closed = true;
      }
      try {
        if (room.tryAcquire(UNACKNOWLEDGED_MAX, FLUSH_SECONDS, TimeUnit.SECONDS)) {
          room.release(UNACKNOWLEDGED_MAX);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
      halt();
    }

    @Override
    protected SessionRequest hello() {
      return null;
    }

    @Override
    protected long waitMs() {
      return 60_000;
    }

    @Override
    protected SessionRequest nextFrame() {
      SessionRequest.Builder frame = SessionRequest.newBuilder();
      int places = Math.min(Math.max((int) window - inFlight, 0), Limits.FRAME_ITEMS);
      places = overloaded.isEmpty() ? places : 0;
      int size = 0;
      while (!outgoing.isEmpty()
          && frame.getStartsCount() < places
          && size < Limits.FRAME_BYTES) {
        Call call = outgoing.poll();
        if (call.request != null && !call.inFlight) {
          call.inFlight = true;
          inFlight++;
          size += call.request.getSerializedSize();
          frame.addStarts(
              SessionStart.newBuilder()
                  .setCallId(call.number)
                  .setStart(call.request)
                  .setWantResult(call.wantResult));
        }
      }
      while (!watching.isEmpty() && frame.getWatchesCount() < Limits.FRAME_ITEMS) {
        Call call = watching.poll();
        if (calls.containsKey(call.number)) {
          frame.addWatches(
              SessionWatch.newBuilder()
                  .setCallId(call.number)
                  .setNamespace(caller.namespace)
                  .setExecutionId(call.started.join()));
        }
      }
      boolean empty = frame.getStartsCount() + frame.getWatchesCount() == 0;
      return empty ? null : frame.build();
    }

    @Override
    protected boolean receive(SessionResponse response) {
      for (SessionStarted each : response.getStartedList()) {
        Call call = calls.get(each.getCallId());
        if (call != null && call.request != null) {
          accepted(call, each.getExecutionId());
          if (!call.wantResult) {
            calls.remove(call.number);
          }
        }
      }
      for (SessionResult each : response.getResultsList()) {
        Call call = calls.remove(each.getCallId());
        if (call != null) {
          if (call.request != null) {
            accepted(call, each.getExecutionId());
          }
          call.result.complete(each);
        }
      }
      response.getRefusedList().forEach(this::refused);
      if (response.getStartedCount() > 0) {
        retryOverloaded(); // the server has capacity again
      }
      return true;
    }

    private void accepted(Call call, String id) {
      // The window grows by a tenth per accepted start, and shrinks by one per start that an
      // overloaded server refuses.
      window = Math.min(window + 0.1, UNACKNOWLEDGED_MAX);
      inFlight -= call.inFlight ? 1 : 0;
      call.inFlight = false;
      call.request = null;
      room.release();
      call.started.complete(id);
    }

    private void refused(SessionRefused refused) {
      Call call = calls.get(refused.getCallId());
      if (call == null) {
        return;
      }
      Kind kind =
          Failures.kind(
              io.grpc.Status.fromCodeValue(refused.getCode()).getCode(), refused.getReason());
      FlowmeshException failure =
          Failures.made(
              kind, refused.getReason(), refused.getMessage(), refused.getRetryAfterMs());
      boolean full = failure.reason().equals("OVERLOADED");
      if (call.inFlight) {
        call.inFlight = false;
        inFlight--;
        window = full ? Math.max(window - 1, WINDOW_MIN) : window;
      }
      call.refusedNs = call.refusedNs == 0 ? System.nanoTime() : call.refusedNs;
      Duration delay = Caller.retryDelay(failure, Duration.ofMillis(100));
      long since = System.nanoTime() - call.refusedNs;
      if (delay == null || since + delay.toNanos() > Limits.RETRIES.toNanos()) {
        drop(call, failure);
      } else if (call.request == null) {
        later(delay, () -> watching.add(call));
      } else if (full) {
        overloaded.add(call);
        if (overloaded.size() == 1) {
          later(delay, this::retryOverloaded);
        }
      } else {
        later(delay, () -> outgoing.add(call));
      }
    }

    private void later(Duration delay, Runnable change) {
      Runnable locked =
          () -> {
            synchronized (lock) {
              change.run();
              lock.notifyAll();
            }
          };
      try {
        caller.timer.schedule(locked, delay.toMillis(), TimeUnit.MILLISECONDS);
      } catch (RejectedExecutionException closing) {
        closed = true;
      }
    }

    /** Queues the refused starts before those never sent. */
    private void retryOverloaded() {
      overloaded.sort((a, b) -> Long.compare(b.number, a.number));
      overloaded.forEach(outgoing::addFirst);
      overloaded.clear();
    }

    @Override
    protected void startOver() {
      inFlight = 0;
      overloaded.clear();
      outgoing.clear();
      watching.clear();
      for (Call call : calls.values()) {
        call.inFlight = false;
        (call.request == null ? watching : outgoing).add(call);
      }
    }

    private void drop(Call call, FlowmeshException failure) {
      calls.remove(call.number);
      if (call.request != null) {
        call.request = null;
        room.release();
        call.started.completeExceptionally(failure);
      }
      call.result.completeExceptionally(failure);
    }

    @Override
    protected FlowmeshException givenUp(StreamRetry retry) {
      if (retry.hopeless()) {
        List.copyOf(calls.values()).forEach(each -> drop(each, retry.failure()));
      }
      return null;
    }

    @Override
    protected void ended(FlowmeshException failure) {
      synchronized (lock) {
        closed = true;
        FlowmeshException cause = failure == null ? Failures.closed() : failure;
        List.copyOf(calls.values()).forEach(each -> drop(each, cause));
      }
    }
  }
}
