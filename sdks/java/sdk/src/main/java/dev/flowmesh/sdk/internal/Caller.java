package dev.flowmesh.sdk.internal;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.common.v1.Payload;
import dev.flowmesh.api.execution.v1.GetPayloadRequest;
import dev.flowmesh.api.execution.v1.GetPayloadResponse;
import dev.flowmesh.api.execution.v1.PayloadServiceGrpc;
import dev.flowmesh.api.execution.v1.PutPayloadRequest;
import dev.flowmesh.api.execution.v1.PutPayloadResponse;
import dev.flowmesh.api.identity.v1.AuthServiceGrpc;
import dev.flowmesh.api.identity.v1.ListSigningKeysRequest;
import dev.flowmesh.sdk.Codec;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * The calls of a client, with deadlines, bounded retries and translated errors. Every call can be
 * retried: a read has no effect, and a change carries a request id that all its retries share.
 */
public final class Caller {
  private static final System.Logger LOG = System.getLogger("dev.flowmesh.sdk");

  /** The namespace of the client. */
  public final String namespace;

  /** The identity that is recorded with changes. */
  public final String actor;

  /** The conversion of values. */
  public final Codec codec;

  /** The scheduler of deadlines and delays. */
  public final ScheduledThreadPoolExecutor timer;

  private final Credential credential;
  private final Pool pool;
  private final RetryBudget budget = new RetryBudget();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Set<Runnable> closing = ConcurrentHashMap.newKeySet();
  private final ExecutorService threads = Executors.newCachedThreadPool(Caller::daemon);

  /** One try of a call. */
  public interface Attempt<S> {
    /** Makes the call. */
    S once() throws StatusException;
  }

  /** Returns the calls to an address. */
  public Caller(
      Address address, Credential credential, String namespace, String actor, Codec codec) {
    this.credential = credential;
    this.namespace = namespace;
    this.actor = actor;
    this.codec = codec;
    this.pool = new Pool(address, credential);
    this.timer = new ScheduledThreadPoolExecutor(1, Caller::daemon);
    timer.setRemoveOnCancelPolicy(true);
  }

  static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "flowmesh");
    thread.setDaemon(true);
    return thread;
  }

  /** Returns the connections. */
  public Channel channel() {
    return pool;
  }

  /** Returns the address of later calls as it was given. */
  public String address() {
    return pool.address().text();
  }

  /** Returns the threads of asynchronous calls. */
  public ExecutorService threads() {
    return threads;
  }

  /** Returns a context whose calls carry a trace context. */
  public static Context traced(String traceparent) {
    return traceparent.isEmpty()
        ? Context.ROOT
        : Context.ROOT.withValue(Pool.TRACEPARENT, traceparent);
  }

  // Close ----------------------------------------------------------------------

  /** Returns whether the client is closed. */
  public boolean closed() {
    return closed.getCount() == 0;
  }

  /** Registers work of the close; the return value takes it back. */
  public Runnable onClose(Runnable work) {
    closing.add(work);
    if (closed()) {
      work.run();
    }
    return () -> closing.remove(work);
  }

  /** Ends all calls, which fail as closed. */
  public void close() {
    closed.countDown();
    pool.close();
    closing.forEach(Runnable::run);
    timer.shutdownNow();
    threads.shutdown();
  }

  /** Waits, for less if the client is closed. */
  public void pause(Duration delay) {
    try {
      if (closed.await(delay.toMillis(), TimeUnit.MILLISECONDS)) {
        throw Failures.closed();
      }
    } catch (InterruptedException interrupted) {
      throw Failures.interrupted();
    }
  }

  // Calls ----------------------------------------------------------------------

  /** Waits for the server, for 5 s at most. */
  public void ready() {
    Deadline deadline = Deadline.after(Limits.CONNECT.toMillis() - 1000, TimeUnit.MILLISECONDS);
    while (!deadline.isExpired()) {
      CountDownLatch changed = new CountDownLatch(1);
      ConnectivityState state = pool.connecting(changed::countDown);
      if (state == ConnectivityState.READY) {
        return;
      }
      try {
        long left = Math.min(500, deadline.timeRemaining(TimeUnit.MILLISECONDS));
        changed.await(Math.max(left, 1), TimeUnit.MILLISECONDS);
      } catch (InterruptedException interrupted) {
        throw Failures.interrupted();
      }
      pool.reconnect();
    }
    CallOptions probe = CallOptions.DEFAULT.withDeadlineAfter(1, TimeUnit.SECONDS);
    try {
      ClientCalls.blockingUnaryCall(
          pool,
          AuthServiceGrpc.getListSigningKeysMethod(),
          probe,
          ListSigningKeysRequest.getDefaultInstance());
    } catch (StatusRuntimeException failed) {
      FlowmeshException found = translated(failed);
      if (found.kind() == Kind.UNAVAILABLE || found.reason().equals("TLS_FAILED")) {
        throw found;
      }
      if (found.kind() == Kind.TIMEOUT || found.kind() == Kind.INTERNAL) {
        throw Failures.of(
            Kind.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "no server of Flowmesh responds at %s within 5 s; `flowmesh dev` starts a suite",
            address());
      }
    }
  }

  /** Makes a unary call with its retries. */
  public <Q, S> S call(MethodDescriptor<Q, S> method, Q request) {
    return call(method, request, Limits.CALL, null);
  }

  /** Makes a unary call whose tries last at most a time each, and no longer than a deadline. */
  public <Q, S> S call(MethodDescriptor<Q, S> method, Q request, Duration limit, Deadline until) {
    Duration total = limit.compareTo(Limits.RETRIES) > 0 ? limit : Limits.RETRIES;
    return retried(
        total,
        until,
        () -> ClientCalls.blockingUnaryCall(pool, method, options(limit, until), request));
  }

  private static CallOptions options(Duration limit, Deadline until) {
    Deadline deadline = Deadline.after(limit.toMillis(), TimeUnit.MILLISECONDS);
    return CallOptions.DEFAULT.withDeadline(until == null ? deadline : deadline.minimum(until));
  }

  /** Tries until it succeeds, a retry cannot help, or the next one would begin too late. */
  public <S> S retried(Duration total, Deadline limit, Attempt<S> attempt) {
    Deadline until = Deadline.after(total.toMillis(), TimeUnit.MILLISECONDS);
    until = limit == null ? until : until.minimum(limit);
    Duration wait = Limits.RETRY_MIN;
    FlowmeshException former = null;
    boolean moved = false;
    while (true) {
      String header = header();
      FlowmeshException failure;
      String cell;
      try {
        S result = attempt.once();
        budget.succeeded();
        return result;
      } catch (StatusException | RuntimeException failed) {
        failure = translated(failed);
        cell = Failures.cell(failed);
      }
      if (refreshed(failure, header)) {
        continue;
      }
      if (!moved && followed(cell)) {
        moved = true;
        continue;
      }
      if (former != null && failure.kind() == Kind.TIMEOUT && until.isExpired()) {
        throw former; // the retry had no time of its own
      }
      Duration delay = retryDelay(failure, wait);
      boolean late = delay == null || delay.compareTo(left(until)) > 0;
      if (late || !budget.permits(failure)) {
        throw failure;
      }
      if (former == null) {
        LOG.log(System.Logger.Level.WARNING, "retrying: {0}", failure.getMessage());
      }
      // Jitter, so that clients that failed together do not retry together.
      pause(delay.plusMillis(ThreadLocalRandom.current().nextLong(wait.toMillis())));
      pool.reconnect();
      former = failure;
      wait = wait.multipliedBy(2).compareTo(Limits.RETRY_MAX) > 0
          ? Limits.RETRY_MAX
          : wait.multipliedBy(2);
    }
  }

  private static Duration left(Deadline until) {
    return Duration.ofMillis(until.timeRemaining(TimeUnit.MILLISECONDS));
  }

  String header() {
    return credential == null ? "" : credential.header();
  }

  /** Returns whether a refused token has been replaced by another. */
  boolean refreshed(FlowmeshException failure, String header) {
    return failure.kind() == Kind.UNAUTHENTICATED
        && credential != null
        && credential.rejected(header);
  }

  /** Makes later calls to a cell, unless that is less safe; returns false if there is none. */
  boolean followed(String cell) {
    Address now = pool.address();
    // Another call may have moved this client already.
    if (!cell.isEmpty() && !cell.equals(now.text())) {
      Address there = now.elsewhere(cell);
      there.check(credential);
      pool.move(there);
    }
    return !cell.isEmpty();
  }

  void reconnect() {
    pool.reconnect();
  }

  /** Returns the delay before a retry: that of the server, or wait; null if it cannot help. */
  public static Duration retryDelay(FlowmeshException failure, Duration wait) {
    if (failure.kind() != Kind.UNAVAILABLE && failure.kind() != Kind.OVERLOADED) {
      return null;
    }
    if (!failure.retryAfter().isZero()) {
      boolean longer = failure.retryAfter().compareTo(Limits.RETRY_MAX) > 0;
      return longer ? Limits.RETRY_MAX : failure.retryAfter();
    }
    return failure.kind() == Kind.UNAVAILABLE ? wait : null;
  }

  /** Returns the exception of a failed call in the form of the SDK. */
  public FlowmeshException translated(Throwable failed) {
    if (closed()) {
      return Failures.closed();
    }
    boolean ended = Status.fromThrowable(failed).getCode() == Status.Code.CANCELLED;
    if (ended && (Thread.currentThread().isInterrupted() || Context.current().isCancelled())) {
      return new FlowmeshException(Kind.CANCELED, "CANCELED", "the call was canceled");
    }
    FlowmeshException found = Failures.translated(failed, address());
    String text = found.text();
    if (found.reason().equals("CREDENTIALS_REQUIRED")) {
      text = address() + " requires a credential; set FLOWMESH_API_KEY or FLOWMESH_TOKEN";
    } else if (found.kind() == Kind.UNAUTHENTICATED && credential != null) {
      text = "the server refused " + credential.source + ": " + text;
    } else {
      return found;
    }
    return new FlowmeshException(
        found.kind(), found.reason(), text, found.violations(), found.retryAfter(), failed);
  }

  // Payloads -------------------------------------------------------------------

  /** Returns the payload of a value; a large one is stored first. */
  public Payload pack(Object value) {
    byte[] data = codec.encode(value);
    return data.length <= Limits.INLINE_BYTES
        ? Payload.newBuilder().setData(ByteString.copyFrom(data)).build()
        : put(data);
  }

  /** Returns the JSON of a payload; that of a reference is fetched. */
  public byte[] unpack(Payload payload) {
    return payload.hasReference()
        ? get(payload.getReference().getDigest())
        : Convert.json(payload.getData(), payload.getEncoding());
  }

  /** Stores bytes and returns their payload. */
  public Payload put(byte[] data) {
    if (data.length > Limits.STORED_BYTES) {
      throw Failures.of(
          Kind.TOO_LARGE,
          "PAYLOAD_TOO_LARGE",
          "the value has %d bytes; stored values are limited to %d",
          data.length,
          Limits.STORED_BYTES);
    }
    Payload stored = retried(Limits.RETRIES, null, () -> putOnce(data));
    check(data, stored.getReference().getDigest());
    return stored;
  }

  private Payload putOnce(byte[] data) throws StatusException {
    BlockingClientCall<PutPayloadRequest, PutPayloadResponse> call =
        ClientCalls.blockingClientStreamingCall(
            pool, PayloadServiceGrpc.getPutPayloadMethod(), options(Limits.RETRIES, null));
    try {
      boolean open = true;
      for (int at = 0; open && at < data.length; at += Limits.CHUNK_BYTES) {
        int size = Math.min(Limits.CHUNK_BYTES, data.length - at);
        PutPayloadRequest.Builder chunk =
            PutPayloadRequest.newBuilder().setChunk(ByteString.copyFrom(data, at, size));
        open = call.write((at == 0 ? chunk.setNamespace(namespace) : chunk).build());
      }
      if (open) {
        call.halfClose();
      }
      PutPayloadResponse response = call.read(); // or the refusal
      if (response == null) {
        throw new StatusException(Status.INTERNAL.withDescription("there was no response"));
      }
      return response.getPayload();
    } catch (InterruptedException interrupted) {
      call.cancel("interrupted", interrupted);
      throw Failures.interrupted();
    }
  }

  /** Returns the JSON of a stored value. */
  public byte[] get(String digest) {
    GetPayloadRequest request =
        GetPayloadRequest.newBuilder().setNamespace(namespace).setDigest(digest).build();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    String encoding =
        retried(
            Limits.RETRIES,
            null,
            () -> {
              data.reset();
              return getOnce(request, data);
            });
    check(data.toByteArray(), digest);
    return Convert.json(ByteString.copyFrom(data.toByteArray()), encoding);
  }

  private String getOnce(GetPayloadRequest request, ByteArrayOutputStream data) {
    Context.CancellableContext reading = Context.current().withCancellation();
    Context former = reading.attach();
    try {
      String encoding = "";
      Iterator<GetPayloadResponse> chunks =
          ClientCalls.blockingServerStreamingCall(
              pool,
              PayloadServiceGrpc.getGetPayloadMethod(),
              options(Limits.RETRIES, null),
              request);
      while (chunks.hasNext()) {
        GetPayloadResponse next = chunks.next();
        encoding = encoding.isEmpty() ? next.getEncoding() : encoding;
        if (data.size() + next.getChunk().size() > Limits.STORED_BYTES) {
          throw Failures.of(
              Kind.TOO_LARGE, "PAYLOAD_TOO_LARGE", "the server sends more than 64 MiB");
        }
        data.writeBytes(next.getChunk().toByteArray());
      }
      return encoding;
    } finally {
      reading.detach(former);
      reading.cancel(null); // ends a stream that was left before its end
    }
  }

  private static void check(byte[] data, String digest) {
    try {
      byte[] sum = MessageDigest.getInstance("SHA-256").digest(data);
      if (!HexFormat.of().formatHex(sum).equals(digest)) {
        throw Failures.of(
            Kind.INTERNAL,
            "PAYLOAD_CORRUPT",
            "the bytes of the payload %s have another digest; they were changed on the way or in"
                + " the store",
            digest);
      }
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
