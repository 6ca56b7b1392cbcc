package dev.flowmesh.sdk.internal;

import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import io.grpc.Status;
import java.time.Duration;

/** Decides whether a broken stream is opened again, and after what delay. */
public final class StreamRetry {
  private static final long LASTED_NS = Duration.ofSeconds(30).toNanos();
  private static final long BUDGET_NS = Duration.ofSeconds(60).toNanos();

  private final Caller caller;
  private String header = "";
  private long openedNs;
  private long downNs;
  private boolean down;
  private FlowmeshException last;
  private boolean refused;
  private boolean moved;

  /** The policy for one stream. */
  public StreamRetry(Caller caller) {
    this.caller = caller;
  }

  /** Notes an attempt to open the stream. */
  public void opening() {
    openedNs = System.nanoTime();
    if (down) {
      caller.reconnect();
    }
    header = caller.header();
  }

  /** Notes a received message; returns whether the stream was down before. */
  public boolean connected() {
    boolean again = down;
    down = false;
    last = null;
    refused = false;
    moved = false;
    return again;
  }

  /**
   * Notes the end of the stream; null is an end without an error. A stream that another cell serves
   * is opened there once.
   */
  public void broken(Throwable failed) {
    if (!down || System.nanoTime() - openedNs > LASTED_NS) {
      down = true;
      downNs = System.nanoTime();
    }
    if (failed == null) {
      return;
    }
    last = caller.translated(failed);
    refused =
        failed instanceof FlowmeshException
            || last.reason().equals("TLS_FAILED")
            || !passing(Status.fromThrowable(failed).getCode());
    if (last.kind() == Kind.UNAUTHENTICATED) {
      refused = !caller.refreshed(last, header);
    }
    try {
      moved = !moved && caller.followed(Failures.cell(failed));
      refused &= !moved;
    } catch (FlowmeshException unsafe) {
      last = unsafe;
    }
  }

  private static boolean passing(Status.Code code) {
    return switch (code) {
      case UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED -> true;
      case ABORTED, INTERNAL, UNKNOWN -> true;
      default -> false;
    };
  }

  /** Returns whether the server would refuse the stream again. */
  public boolean refused() {
    return refused;
  }

  /** Returns whether the stream was refused or is down for too long. */
  public boolean hopeless() {
    return refused || (down && System.nanoTime() - downNs > BUDGET_NS);
  }

  /** Returns the exception of a stream that is given up. */
  public FlowmeshException failure() {
    return last != null
        ? last
        : new FlowmeshException(
            Kind.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "the server closed the stream and does not respond");
  }

  /** Returns the delay before the next attempt. */
  public Duration delay() {
    long ms = down ? (System.nanoTime() - downNs) / 10_000_000 : 0;
    return Duration.ofMillis(Math.min(Math.max(ms, 100), 1000));
  }
}
