package dev.flowmesh.sdk.worker;

import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** A worker: runs tasks of the types for which it has handlers, until it is closed. */
public final class Worker implements AutoCloseable {
  private static final int SLOTS_MAX = 10_000;

  private final Options options;
  private final WorkStream stream;

  /** The chosen options. */
  record Options(
      String id,
      int slots,
      List<String> queues,
      Map<String, String> labels,
      Duration drain,
      Tracer tracer,
      Map<String, Registered<?>> handlers) {}

  /** A handler with the class of its input. */
  record Registered<I>(Class<I> input, Handler<I> handler) {}

  private Worker(FlowmeshClient client, Options options) {
    this.options = options;
    this.stream = new WorkStream(client.caller(), options);
  }

  /**
   * Begins a worker.
   *
   * @param client its connections
   * @return without handlers
   */
  public static Builder builder(FlowmeshClient client) {
    return new Builder(client);
  }

  /** The handlers and options of a worker. */
  public static final class Builder {
    private final FlowmeshClient client;
    private final Map<String, Registered<?>> handlers = new HashMap<>();
    private String id = "worker-" + UUID.randomUUID();
    private int slots = 100;
    private List<String> queues = List.of();
    private Map<String, String> labels = Map.of();
    private Duration drain = Duration.ofSeconds(10);
    private Tracer tracer = task -> failed -> {};

    private Builder(FlowmeshClient client) {
      this.client = client;
    }

    /**
     * Registers the handler of a task type.
     *
     * @param <I> the type of the input
     * @param type the task type
     * @param input the class of the input
     * @param handler runs its tasks
     * @return this
     */
    public <I> Builder task(String type, Class<I> input, Handler<I> handler) {
      if (handlers.putIfAbsent(type, new Registered<>(input, handler)) != null) {
        throw invalid("the task type " + type + " has a handler already");
      }
      return this;
    }

    /**
     * Sets the number of tasks that run at once.
     *
     * @param count 1 to 10,000; the default is 100
     * @return this
     */
    public Builder slots(int count) {
      slots = count;
      return this;
    }

    /**
     * Sets the queues to serve.
     *
     * @param names the default is {@code default}
     * @return this
     */
    public Builder queues(List<String> names) {
      queues = names;
      return this;
    }

    /**
     * Sets labels that tasks may require.
     *
     * @param given by name
     * @return this
     */
    public Builder labels(Map<String, String> given) {
      labels = given;
      return this;
    }

    /**
     * Sets the identity of the worker, which no other may have.
     *
     * @param text the default is a random one
     * @return this
     */
    public Builder id(String text) {
      id = text;
      return this;
    }

    /**
     * Sets the time that running tasks have at the end.
     *
     * @param limit the default is 10 s
     * @return this
     */
    public Builder drain(Duration limit) {
      drain = limit;
      return this;
    }

    /**
     * Sets the tracer of tasks.
     *
     * @param spans such as those of OpenTelemetry
     * @return this
     */
    public Builder tracer(Tracer spans) {
      tracer = spans;
      return this;
    }

    /**
     * Connects, and returns once the server accepts the worker. It gives up after 60 s without a
     * server.
     *
     * @return the worker
     */
    public Worker start() {
      if (handlers.isEmpty()) {
        throw invalid("a worker needs at least one handler");
      }
      check(slots);
      Options chosen =
          new Options(id, slots, queues, labels, drain, tracer, Map.copyOf(handlers));
      Worker worker = new Worker(client, chosen);
      worker.stream.start();
      return worker;
    }
  }

  private static void check(int slots) {
    if (slots < 1 || slots > SLOTS_MAX) {
      throw invalid("slots must be 1 to " + SLOTS_MAX + ", not " + slots);
    }
  }

  private static FlowmeshException invalid(String text) {
    return new FlowmeshException(Kind.INVALID, "HELLO_INVALID", text);
  }

  /**
   * Returns the identity of the worker.
   *
   * @return its id
   */
  public String id() {
    return options.id();
  }

  /**
   * Changes the number of tasks that run at once.
   *
   * @param count 1 to 10,000
   */
  public void slots(int count) {
    check(count);
    stream.slots(count);
  }

  /**
   * Waits until the worker is closed.
   *
   * @throws FlowmeshException if the server has refused it
   * @throws InterruptedException if the thread was interrupted
   */
  public void await() throws InterruptedException {
    stream.await();
  }

  /**
   * Drains: accepts no tasks, gives running ones the time of {@link Builder#drain}, interrupts the
   * rest and closes the stream. Closing again has no effect.
   */
  @Override
  public void close() {
    stream.stop(options.drain());
  }
}
