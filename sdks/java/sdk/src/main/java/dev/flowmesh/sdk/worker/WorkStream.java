package dev.flowmesh.sdk.worker;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.definition.v1.TaskSpec;
import dev.flowmesh.api.worker.v1.Heartbeat;
import dev.flowmesh.api.worker.v1.ResultException;
import dev.flowmesh.api.worker.v1.ResultExceptionKind;
import dev.flowmesh.api.worker.v1.TaskResult;
import dev.flowmesh.api.worker.v1.WorkHello;
import dev.flowmesh.api.worker.v1.WorkRequest;
import dev.flowmesh.api.worker.v1.WorkResponse;
import dev.flowmesh.api.worker.v1.WorkerServiceGrpc;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Duplex;
import dev.flowmesh.sdk.internal.Failures;
import dev.flowmesh.sdk.internal.Limits;
import dev.flowmesh.sdk.internal.StreamRetry;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The stream of a worker. A result is kept until its frame is acknowledged; after a reconnect the
 * hello lists everything held, and unacknowledged results are sent again.
 */
final class WorkStream extends Duplex<WorkRequest, WorkResponse> {
  static final System.Logger LOG = System.getLogger("dev.flowmesh.sdk.worker");

  private static final long PING_NS = Duration.ofSeconds(3).toNanos();
  private static final long SILENCE_NS = Duration.ofSeconds(10).toNanos();
  private static final int UNACKNOWLEDGED_MAX = 10_000;
  private static final int UNACKNOWLEDGED_BYTES = 8 * 1024 * 1024;
  private static final int SPECS_MAX = 10_000;
  private static final long HANDLERS_END_MS = 1_000;

  private final Worker.Options options;
  private final HandlerThreads threads;
  private final CompletableFuture<Void> ready = new CompletableFuture<>();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final Map<String, RunningTask> running = new HashMap<>();
  private final Queue<TaskResult> finished = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean notified = new AtomicBoolean();
  private final ArrayDeque<TaskResult> outgoing = new ArrayDeque<>();
  private final Map<String, Integer> waiting = new HashMap<>();
  private final ArrayDeque<Frame> frames = new ArrayDeque<>();
  private final Map<String, TaskResult> unacknowledged = new HashMap<>();
  private final Map<String, ByteString> heartbeats = new LinkedHashMap<>();
  private final Map<String, ByteString> specs = new LinkedHashMap<>();
  private int pendingBytes;
  private long frame;
  private int slots;
  private int newSlots;
  private boolean draining;
  private boolean drainSent;
  private boolean serverDrains;
  private boolean reachable = true;
  private long receivedNs;
  private long pingNs;

  private record Frame(long number, List<TaskResult> results, int bytes) {}

  WorkStream(Caller caller, Worker.Options options) {
    super(caller, WorkerServiceGrpc.getWorkMethod());
    this.options = options;
    this.slots = options.slots();
    this.threads = new HandlerThreads(caller.timer);
  }

  /** Returns once the server accepts the worker. */
  void start() {
    begin();
    try {
      ready.get();
    } catch (InterruptedException interrupted) {
      stop(Duration.ZERO);
      throw Failures.interrupted();
    } catch (java.util.concurrent.ExecutionException refused) {
      stop(Duration.ZERO);
      throw (FlowmeshException) refused.getCause();
    }
  }

  void await() throws InterruptedException {
    try {
      ended.get();
    } catch (java.util.concurrent.ExecutionException failed) {
      throw (FlowmeshException) failed.getCause();
    }
  }

  void slots(int count) {
    synchronized (lock) {
      slots = count;
      newSlots = count;
      lock.notifyAll();
    }
  }

  // Sending --------------------------------------------------------------------

  @Override
  protected WorkRequest hello() {
    collect();
    Set<String> held = new HashSet<>(waiting.keySet());
    held.addAll(running.keySet());
    held.addAll(unacknowledged.keySet());
    receivedNs = System.nanoTime();
    pingNs = receivedNs;
    WorkHello hello =
        WorkHello.newBuilder()
            .setWorkerId(options.id())
            .setNamespace(caller.namespace)
            .addAllQueues(options.queues())
            .addAllTaskTypes(options.handlers().keySet().stream().sorted().toList())
            .setSlots(slots)
            .putAllLabels(options.labels())
            .addAllHeld(held)
            .setContractDigest(Contract.DIGEST)
            .setSdk(Contract.SDK)
            .build();
    return WorkRequest.newBuilder().setHello(hello).build();
  }

  @Override
  protected long waitMs() {
    return Math.max(1, (pingNs + PING_NS - System.nanoTime()) / 1_000_000);
  }

  @Override
  protected WorkRequest nextFrame() {
    long now = System.nanoTime();
    if (now - receivedNs > SILENCE_NS) {
      throw io.grpc.Status.UNAVAILABLE
          .withDescription("the server was silent for 10 s")
          .asRuntimeException();
    }
    collect();
    WorkRequest.Builder next = WorkRequest.newBuilder();
    int size = 0;
    while (!outgoing.isEmpty()
        && next.getResultsCount() < Limits.FRAME_ITEMS
        && size < Limits.FRAME_BYTES
        && unacknowledged.size() < UNACKNOWLEDGED_MAX
        && pendingBytes + size < UNACKNOWLEDGED_BYTES) {
      TaskResult result = outgoing.poll();
      waiting.computeIfPresent(result.getToken(), (token, count) -> count > 1 ? count - 1 : null);
      unacknowledged.put(result.getToken(), result);
      next.addResults(result);
      size += result.getSerializedSize();
    }
    if (next.getResultsCount() > 0) {
      next.setResultsFrame(++frame);
      frames.add(new Frame(frame, List.copyOf(next.getResultsList()), size));
      pendingBytes += size;
    }
    Iterator<Map.Entry<String, ByteString>> beats = heartbeats.entrySet().iterator();
    while (beats.hasNext() && size < Limits.FRAME_BYTES) {
      Map.Entry<String, ByteString> beat = beats.next();
      next.addHeartbeats(
          Heartbeat.newBuilder().setToken(beat.getKey()).setDetails(beat.getValue()));
      size += beat.getValue().size();
      beats.remove();
    }
    boolean ping = now - pingNs >= PING_NS;
    boolean drain = draining && !drainSent;
    if (next.getResultsCount() + next.getHeartbeatsCount() == 0
        && !ping
        && !drain
        && newSlots == 0) {
      return null;
    }
    next.setPing(ping).setDrain(drain).setSlots(newSlots);
    pingNs = ping ? now : pingNs;
    drainSent |= drain;
    newSlots = 0;
    return next.build();
  }

  @Override
  protected void startOver() {
    List<TaskResult> again = new ArrayList<>();
    for (Frame sent : frames) {
      for (TaskResult result : sent.results()) {
        if (waiting.putIfAbsent(result.getToken(), 1) == null) {
          again.add(result);
        }
      }
    }
    for (int at = again.size() - 1; at >= 0; at--) {
      outgoing.addFirst(again.get(at));
    }
    frames.clear();
    unacknowledged.clear();
    specs.clear();
    frame = 0;
    pendingBytes = 0;
    drainSent = false;
    serverDrains = false;
  }

  // Receiving ------------------------------------------------------------------

  @Override
  protected boolean receive(WorkResponse response) {
    receivedNs = System.nanoTime();
    collect();
    if (!reachable) {
      LOG.log(Level.INFO, "the server at {0} responds again", caller.address());
    }
    reachable = true;
    ready.complete(null);
    for (ResultException each : response.getExceptionsList()) {
      TaskResult result = unacknowledged.get(each.getToken());
      if (each.getKind() == ResultExceptionKind.RESULT_EXCEPTION_KIND_MOVED && result != null) {
        queue(result); // the new owner receives it; a stale result is dropped
      }
    }
    while (!frames.isEmpty() && frames.peek().number() <= response.getAcknowledgedFrame()) {
      Frame sent = frames.poll();
      sent.results().forEach(each -> unacknowledged.remove(each.getToken()));
      pendingBytes -= sent.bytes();
    }
    for (TaskSpec each : response.getSpecsList()) {
      specs.put(each.getDigest(), each.getConfig());
    }
    for (dev.flowmesh.api.worker.v1.Task each : response.getTasksList()) {
      if (!holds(each.getToken())) {
        accept(each);
      }
    }
    Iterator<String> oldest = specs.keySet().iterator();
    while (specs.size() > SPECS_MAX) {
      oldest.next();
      oldest.remove();
    }
    // A message may contain a task and its cancellation.
    for (String token : response.getCancelsList()) {
      if (running.get(token) != null) {
        running.get(token).cancel("Cancelled");
      }
    }
    serverDrains |= response.getDrain();
    return !(serverDrains && idle());
  }

  private boolean holds(String token) {
    return running.containsKey(token)
        || unacknowledged.containsKey(token)
        || waiting.containsKey(token);
  }

  private void accept(dev.flowmesh.api.worker.v1.Task message) {
    String token = message.getToken();
    Worker.Registered<?> handler = options.handlers().get(message.getTaskType());
    if (handler == null) {
      String text = "this worker has no handler for " + message.getTaskType();
      queue(Results.failed(token, "HandlerMissing", text));
    } else if (message.hasJournal()) {
      String text = "this SDK runs no durable handlers; use a worker in Python";
      queue(Results.failed(token, "Unsupported", text));
    } else {
      ByteString config = specs.getOrDefault(message.getSpecDigest(), ByteString.EMPTY);
      RunningTask task = new RunningTask(caller, this, handler, options.tracer(), message, config);
      running.put(token, task);
      threads.execute(task);
    }
  }

  private void queue(TaskResult result) {
    outgoing.add(result);
    waiting.merge(result.getToken(), 1, Integer::sum);
  }

  /** Notes the end of a task. Only the first since the last {@link #collect} takes the lock. */
  void done(TaskResult result) {
    finished.add(result);
    if (!notified.getAndSet(true)) {
      poke();
    }
  }

  private void collect() {
    notified.set(false);
    for (TaskResult each = finished.poll(); each != null; each = finished.poll()) {
      running.remove(each.getToken());
      heartbeats.remove(each.getToken());
      queue(each);
    }
  }

  /** Keeps the newest heartbeat of a running task. */
  void heartbeat(String token, ByteString details) {
    synchronized (lock) {
      if (running.containsKey(token)) {
        heartbeats.put(token, details);
        lock.notifyAll();
      }
    }
  }

  // The end --------------------------------------------------------------------

  private boolean idle() {
    return running.isEmpty() && unacknowledged.isEmpty() && outgoing.isEmpty();
  }

  /** Accepts no tasks, waits until running ones are acknowledged or for the limit, and closes. */
  void stop(Duration limit) {
    if (threads.closed()) {
      return;
    }
    long until = System.nanoTime() + limit.toNanos();
    try {
      synchronized (lock) {
        draining = true;
        lock.notifyAll();
        while (!idle() && !ended.isDone() && System.nanoTime() < until) {
          lock.wait(Math.max(1, Math.min(100, (until - System.nanoTime()) / 1_000_000)));
        }
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    halt();
    synchronized (lock) {
      running.values().forEach(each -> each.cancel("Cancelled"));
    }
    try {
      if (!threads.close(HANDLERS_END_MS)) {
        LOG.log(Level.WARNING, "handlers ignore their interrupts");
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  protected FlowmeshException givenUp(StreamRetry retry) {
    if (retry.refused() || (retry.hopeless() && !ready.isDone())) {
      return retry.failure();
    }
    if (reachable) {
      LOG.log(Level.WARNING, "the stream broke; reconnecting: {0}", retry.failure().getMessage());
    }
    reachable = false;
    return null;
  }

  @Override
  protected void ended(FlowmeshException failure) {
    if (failure == null) {
      ready.completeExceptionally(Failures.closed());
      ended.complete(null);
    } else {
      ready.completeExceptionally(failure);
      ended.completeExceptionally(failure);
    }
  }
}
