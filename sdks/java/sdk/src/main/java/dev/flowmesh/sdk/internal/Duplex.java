package dev.flowmesh.sdk.internal;

import dev.flowmesh.sdk.FlowmeshException;
import io.grpc.CallOptions;
import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;

/**
 * A stream in both directions that is opened again after it broke. One thread opens it and writes;
 * the state of subclasses is guarded by {@link #lock}.
 *
 * @param <Q> its requests
 * @param <S> its responses
 */
public abstract class Duplex<Q, S> {
  /** Guards the state; notified after every change. */
  protected final Object lock = new Object();

  /** The calls of the client. */
  protected final Caller caller;

  private final MethodDescriptor<Q, S> method;
  private final Thread thread = Caller.daemon(this::run);
  private boolean stopped;

  /** A stream that begins with {@link #begin}. */
  protected Duplex(Caller caller, MethodDescriptor<Q, S> method) {
    this.caller = caller;
    this.method = method;
  }

  /** Returns the next request; null if there is none. Called with the lock. */
  protected abstract Q nextFrame();

  /** Handles a response; false ends the stream. Called with the lock. */
  protected abstract boolean receive(S response);

  /** Returns the first request of a stream, or null. Called with the lock. */
  protected abstract Q hello();

  /** Returns the time until {@link #nextFrame} has one by itself. Called with the lock. */
  protected abstract long waitMs();

  /** Prepares the state for another stream. Called with the lock. */
  protected abstract void startOver();

  /** Decides after an end; returns the failure with which the stream is given up, or null. */
  protected abstract FlowmeshException givenUp(StreamRetry retry);

  /** Notes the end of all; null for one that was asked for. */
  protected abstract void ended(FlowmeshException failure);

  /** Begins. */
  protected void begin() {
    thread.start();
  }

  /** Notifies the writer of a change. */
  protected void poke() {
    synchronized (lock) {
      lock.notifyAll();
    }
  }

  /** Closes the stream, and waits for the end of its thread. */
  protected void halt() {
    synchronized (lock) {
      stopped = true;
      lock.notifyAll();
    }
    try {
      thread.join();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean stopping() {
    return stopped || caller.closed();
  }

  private void run() {
    Runnable forget = caller.onClose(this::poke);
    FlowmeshException failure = null;
    try {
      failure = conversations();
    } catch (InterruptedException | RuntimeException failed) {
      failure = caller.translated(failed);
    } finally {
      forget.run();
      boolean asked;
      synchronized (lock) {
        asked = stopped;
        stopped = true;
        lock.notifyAll();
      }
      ended(asked ? null : failure == null ? Failures.closed() : failure);
    }
  }

  private FlowmeshException conversations() throws InterruptedException {
    StreamRetry retry = new StreamRetry(caller);
    while (true) {
      Throwable end = converse(retry);
      synchronized (lock) {
        if (stopping()) {
          return null;
        }
        retry.broken(end);
        FlowmeshException failure = givenUp(retry);
        if (failure != null) {
          return failure;
        }
        long until = System.nanoTime() + retry.delay().toNanos();
        for (long left = 1; left > 0 && !stopping(); left = until - System.nanoTime()) {
          lock.wait(Math.max(1, (until - System.nanoTime()) / 1_000_000));
        }
        if (stopping()) {
          return null;
        }
        startOver();
      }
    }
  }

  /** Opens the stream once; returns the error that ended it, or null. */
  private Throwable converse(StreamRetry retry) throws InterruptedException {
    Context.CancellableContext context = Context.ROOT.withCancellation();
    Context former = context.attach();
    Reader reader = new Reader(retry);
    try {
      retry.opening();
      ClientCalls.asyncBidiStreamingCall(
          caller.channel().newCall(method, CallOptions.DEFAULT), reader);
      Q first;
      synchronized (lock) {
        first = hello();
      }
      if (first != null) {
        reader.requests.onNext(first);
      }
      write(reader);
    } catch (RuntimeException failed) {
      return failed;
    } finally {
      reader.over = true;
      context.detach(former);
      context.cancel(null);
    }
    return reader.failed;
  }

  private void write(Reader reader) throws InterruptedException {
    while (true) {
      Q frame = null;
      synchronized (lock) {
        while (frame == null) {
          if (reader.over || stopping()) {
            return;
          }
          if (reader.requests.isReady()) {
            frame = nextFrame();
          }
          if (frame == null) {
            lock.wait(Math.max(1, waitMs()));
          }
        }
      }
      reader.requests.onNext(frame);
    }
  }

  private final class Reader implements ClientResponseObserver<Q, S> {
    final StreamRetry retry;
    ClientCallStreamObserver<Q> requests;
    volatile boolean over;
    volatile Throwable failed;

    Reader(StreamRetry retry) {
      this.retry = retry;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<Q> opened) {
      requests = opened;
      opened.setOnReadyHandler(Duplex.this::poke);
    }

    @Override
    public void onNext(S response) {
      synchronized (lock) {
        if (!over) {
          retry.connected();
          over = !receive(response);
          lock.notifyAll();
        }
      }
    }

    @Override
    public void onError(Throwable broken) {
      failed = broken;
      onCompleted();
    }

    @Override
    public void onCompleted() {
      over = true;
      poke();
    }
  }
}
