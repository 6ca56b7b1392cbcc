package dev.flowmesh.sdk.internal;

import io.grpc.Context;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A stream of the server that is opened again after it broke.
 *
 * @param <M> its messages
 * @param <E> the elements that they become
 */
public abstract class Watch<M, E> implements Iterator<E> {
  private final Caller caller;
  private final StreamRetry retry;
  private volatile Context.CancellableContext context;
  private volatile boolean closed;
  private Iterator<M> messages;
  private boolean silent;
  private boolean done;
  private E next;

  /** A watch that connects at its first use. */
  protected Watch(Caller caller) {
    this.caller = caller;
    this.retry = new StreamRetry(caller);
  }

  /** Opens the stream after the last known element. */
  protected abstract Iterator<M> open();

  /** Returns the element of a message; null leaves it out. */
  protected abstract E accept(M message);

  /** Returns whether an element is the last one. */
  protected boolean last(E element) {
    return false;
  }

  /** Returns whether the last element is known already; asked after a stream without messages. */
  protected boolean complete() {
    return false;
  }

  /** Returns whether the watch ends after a minute without a server. */
  protected boolean givesUp() {
    return true;
  }

  /** Returns it as a stream, whose close ends the watch. */
  public Stream<E> stream() {
    return StreamSupport.stream(
            Spliterators.spliteratorUnknownSize(this, Spliterator.ORDERED), false)
        .onClose(this::close);
  }

  /** Ends the watch. */
  public void close() {
    closed = true;
    drop();
  }

  /** Gives the present stream up, so that it is opened again. */
  protected void drop() {
    messages = null;
    Context.CancellableContext open = context;
    if (open != null) {
      open.cancel(null);
    }
  }

  @Override
  public boolean hasNext() {
    while (next == null && !done && !closed) {
      try {
        advance();
      } catch (RuntimeException failed) {
        broken(failed);
      }
    }
    return next != null;
  }

  private void advance() {
    if (messages == null) {
      silent = true;
      retry.opening();
      context = Context.current().withCancellation();
      Context former = context.attach();
      try {
        messages = open();
      } finally {
        context.detach(former);
      }
    }
    if (!messages.hasNext()) {
      broken(null);
      return;
    }
    M message = messages.next();
    retry.connected();
    silent = false;
    next = accept(message);
    if (next != null && last(next)) {
      done = true;
      drop();
    }
  }

  private void broken(RuntimeException failed) {
    drop();
    if (closed) {
      return;
    }
    retry.broken(failed);
    if (silent && !retry.refused() && complete()) {
      done = true;
    } else if (retry.refused() || (givesUp() && retry.hopeless())) {
      done = true;
      throw retry.failure();
    } else {
      caller.pause(retry.delay());
    }
  }

  @Override
  public E next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    E found = next;
    next = null;
    return found;
  }
}
