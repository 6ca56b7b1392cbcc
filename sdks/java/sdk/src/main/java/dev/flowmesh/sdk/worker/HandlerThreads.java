package dev.flowmesh.sdk.worker;

import java.util.ArrayDeque;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * The threads of handlers: few while handlers are short, up to one per task while they wait. A
 * thread per task from the start costs more than a short handler, and thousands of them keep the
 * stream from its lock.
 */
final class HandlerThreads {
  private static final int ALWAYS = 8;
  private static final long LOOK_MS = 2;
  private static final long IDLE_NS = TimeUnit.SECONDS.toNanos(10);

  private final ScheduledExecutorService timer;
  private final ArrayDeque<Runnable> queue = new ArrayDeque<>();
  private int alive;
  private int idle;
  private int taken;
  private boolean looking;
  private boolean closed;

  HandlerThreads(ScheduledExecutorService timer) {
    this.timer = timer;
  }

  /** Runs work: at once, or some milliseconds later if all threads are busy. */
  void execute(Runnable work) {
    synchronized (this) {
      queue.add(work);
      if (idle >= queue.size()) {
        notify();
        return;
      }
      if (alive >= ALWAYS) {
        lookLater();
        return;
      }
      alive++;
    }
    begin();
  }

  private void lookLater() {
    if (!looking) {
      looking = true;
      taken = 0;
      try {
        timer.schedule(this::look, LOOK_MS, TimeUnit.MILLISECONDS);
      } catch (RejectedExecutionException closed) {
        return; // the client is closed; the threads that are there end its tasks
      }
    }
  }

  /** Doubles the threads if not each of them has taken work since the last look. */
  private void look() {
    int added = 0;
    synchronized (this) {
      looking = false;
      int missing = queue.size() - idle;
      if (missing > 0) {
        added = taken < alive ? Math.min(missing, alive) : 0;
        alive += added;
        lookLater();
      }
    }
    for (; added > 0; added--) {
      begin();
    }
  }

  private void begin() {
    Thread thread = new Thread(this::work, "flowmesh-task");
    thread.setDaemon(true);
    thread.start();
  }

  private void work() {
    try {
      for (Runnable next = next(); next != null; next = next()) {
        next.run();
      }
    } finally {
      synchronized (this) {
        alive--;
        notifyAll();
      }
    }
  }

  private synchronized Runnable next() {
    long until = System.nanoTime() + IDLE_NS;
    for (long left = IDLE_NS; queue.isEmpty() && left > 0 && !closed; ) {
      idle++;
      try {
        wait(left / 1_000_000 + 1);
      } catch (InterruptedException late) {
        continue; // the interrupt of a task that has ended
      } finally {
        idle--;
      }
      left = until - System.nanoTime();
    }
    taken++;
    return queue.poll();
  }

  synchronized boolean closed() {
    return closed;
  }

  /** Ends the threads once the queue is empty; returns whether all ended within the limit. */
  synchronized boolean close(long limitMs) throws InterruptedException {
    closed = true;
    notifyAll();
    long until = System.nanoTime() + limitMs * 1_000_000;
    for (long left = 1; alive > 0 && left > 0; left = until - System.nanoTime()) {
      wait(left / 1_000_000 + 1);
    }
    return alive == 0;
  }
}
