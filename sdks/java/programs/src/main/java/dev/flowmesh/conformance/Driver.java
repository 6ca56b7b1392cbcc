package dev.flowmesh.conformance;

import static dev.flowmesh.conformance.Values.expanded;
import static dev.flowmesh.conformance.Values.object;

import com.fasterxml.jackson.databind.JsonNode;
import dev.flowmesh.sdk.ClientBuilder;
import dev.flowmesh.sdk.Event;
import dev.flowmesh.sdk.Execution;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Handle;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.ListOptions;
import dev.flowmesh.sdk.SealingCodec;
import dev.flowmesh.sdk.Session;
import dev.flowmesh.sdk.StartOptions;
import dev.flowmesh.sdk.Status;
import dev.flowmesh.sdk.Value;
import dev.flowmesh.sdk.mesh.Filter;
import dev.flowmesh.sdk.mesh.Mesh;
import dev.flowmesh.sdk.mesh.Registration;
import dev.flowmesh.sdk.mesh.Service;
import dev.flowmesh.sdk.worker.Worker;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The driver of the Java SDK: reads commands as JSON lines, makes calls and writes answers (see
 * sdks/conformance/protocol.md).
 */
public final class Driver {
  private final Map<String, FlowmeshClient> clients = new ConcurrentHashMap<>();
  private final Map<String, Serving> workers = new ConcurrentHashMap<>();
  private final Map<String, Session> sessions = new ConcurrentHashMap<>();
  private final Map<String, Registration> services = new ConcurrentHashMap<>();
  private final Map<String, Verb> verbs = new LinkedHashMap<>();
  private final PrintStream output =
      new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private final Set<Thread> before = threads();

  private record Serving(Worker worker, Ledger ledger) {}

  private interface Verb {
    Object answer(Command c) throws Exception;
  }

  /** A command with its members. */
  private record Command(JsonNode node) {
    String text(String name) {
      return node.path(name).asText();
    }

    String name(String kind) {
      return node.path(kind).asText("main");
    }

    int number(String name, int otherwise) {
      return node.path(name).asInt(otherwise);
    }

    List<JsonNode> list(String name) {
      return StreamSupport.stream(node.path(name).spliterator(), false).toList();
    }

    List<String> texts(String name) {
      return list(name).stream().map(JsonNode::asText).toList();
    }

    Map<String, String> texts2(String name) {
      Map<String, String> found = new LinkedHashMap<>();
      node.path(name).properties().forEach(e -> found.put(e.getKey(), e.getValue().asText()));
      return found;
    }

    StartOptions options() {
      return StartOptions.NONE
          .withRequestId(text("requestId"))
          .withVersion(number("version", 0))
          .withLabels(texts2("labels"));
    }

    Duration limit() {
      return Duration.ofMillis(number("timeoutMs", 30_000));
    }
  }

  private Driver() {
    verbs.put("hello", c -> object("language", "java", "features", List.of("resolver", "tracing")));
    verbs.put("open", this::open);
    verbs.put("close", this::close);
    verbs.put("drain", c -> closed(() -> of(workers, c, "worker").worker().close()));
    verbs.put("reset", c -> reset());
    verbs.put("leaks", c -> object("open", leaks()));
    verbs.put("apply", c -> object("resources", client(c).apply(c.text("source"))));
    verbs.put("start", this::start);
    verbs.put("run", this::run);
    verbs.put("wait", c -> object("output", handle(c).result(c.limit())));
    verbs.put("describe", c -> Values.execution(handle(c).describe()));
    verbs.put("outputs", c -> object("outputs", Values.values(handle(c).outputs())));
    verbs.put("events", this::events);
    verbs.put("history", this::history);
    verbs.put("list", this::list);
    verbs.put("signal", this::signal);
    verbs.put("control", this::control);
    verbs.put("put", this::put);
    verbs.put("get", c -> object("value", client(c).fetch(c.text("digest"), JsonNode.class)));
    verbs.put("abandon", this::abandon);
    verbs.put("serve", this::serve);
    verbs.put("ledger", c -> of(workers, c, "worker").ledger().summary());
    verbs.put("session", c -> closed(() -> sessions.put(c.name("session"), client(c).session())));
    verbs.put("submit", this::submit);
    verbs.put("service", this::service);
    verbs.put("bench", this::bench);
  }

  private static Set<Thread> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(each -> !each.getName().startsWith("driver"))
        .collect(Collectors.toSet());
  }

  private static <T> T of(Map<String, T> objects, Command c, String kind) {
    T found = objects.get(c.name(kind));
    if (found == null) {
      throw new IllegalArgumentException("there is no " + kind + " " + c.name(kind));
    }
    return found;
  }

  private FlowmeshClient client(Command c) {
    return of(clients, c, "client");
  }

  private Handle<JsonNode> handle(Command c) {
    return client(c).handle(c.text("execution"), JsonNode.class);
  }

  private static Object closed(Runnable work) {
    work.run();
    return object();
  }

  private Object open(Command c) throws IOException {
    ClientBuilder builder =
        FlowmeshClient.builder()
            .address(c.text("address"))
            .namespace(c.text("namespace"))
            .apiKey(c.text("apiKey"));
    if (c.node().has("provider")) {
      builder.tokenProvider(() -> provided(c));
    } else {
      builder.token(c.text("token"));
    }
    if (c.node().has("ca")) {
      builder.tls(c.text("ca"), c.text("certificate"), c.text("key"));
    }
    if (c.node().has("sealing")) {
      String[] only = c.texts("only").toArray(String[]::new);
      builder.codec(SealingCodec.read(Path.of(c.text("sealing")), only));
    }
    clients.put(c.name("client"), builder.build().connected());
    return object();
  }

  private static String provided(Command c) throws Exception {
    switch (c.text("provider")) {
      case "throws":
        throw new IOException("no token today");
      case "crlf":
        return "a\r\nb";
      default:
        Thread.sleep(500);
        return c.text("token");
    }
  }

  private Object close(Command c) {
    if (c.node().has("worker")) {
      of(workers, c, "worker").worker().close();
    } else if (c.node().has("session")) {
      of(sessions, c, "session").close();
    } else {
      client(c).close();
    }
    return object();
  }

  private static <T> List<T> taken(Map<String, T> objects) {
    List<T> found = List.copyOf(objects.values());
    objects.clear();
    return found;
  }

  private Object reset() {
    List<Serving> serving = taken(workers);
    List<Session> open = taken(sessions);
    List<Registration> registered = taken(services);
    List<FlowmeshClient> connected = taken(clients);
    registered.forEach(each -> quietly(each::close));
    serving.forEach(each -> each.worker().close());
    connected.forEach(FlowmeshClient::close);
    open.forEach(Session::close);
    return object();
  }

  private static void quietly(Runnable work) {
    try {
      work.run();
    } catch (RuntimeException failed) {
      System.err.println(failed);
    }
  }

  private int leaks() throws InterruptedException {
    // The shared threads of gRPC end a second after their last use.
    Set<Thread> left = Set.of();
    for (int n = 0; n < 100; n++) {
      left = threads();
      left.removeAll(before);
      if (left.isEmpty()) {
        break;
      }
      Thread.sleep(50);
    }
    left.forEach(each -> System.err.println("left: " + each));
    return left.size();
  }

  private Object start(Command c) {
    StartOptions options = c.options().withTimeout(Duration.ofMillis(c.number("waitMs", 0)));
    Object input = expanded(c.node().path("input"));
    Handle<Object> handle = client(c).start(c.text("workflow"), input, Object.class, options);
    return object("id", handle.id(), "created", handle.created());
  }

  private Object run(Command c) throws Exception {
    Object input = expanded(c.node().path("input"));
    StartOptions options = c.options().withTimeout(c.limit());
    return object("output", client(c).run(c.text("workflow"), input, JsonNode.class, options));
  }

  private Object events(Command c) {
    String[] types = c.texts("types").toArray(String[]::new);
    try (Stream<Event> events = handle(c).events(c.number("after", 0), types)) {
      return object("events", noted(c, events.iterator()));
    }
  }

  private Object history(Command c) {
    return object("events", noted(c, handle(c).history(c.number("after", 0)).iterator()));
  }

  private static List<Object> noted(Command c, java.util.Iterator<Event> events) {
    List<Object> found = new ArrayList<>();
    while (events.hasNext()) {
      found.add(Values.event(events.next()));
      pause(c.number("delayMs", 0));
    }
    return found;
  }

  private static void pause(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private Object list(Command c) {
    Status[] statuses =
        c.texts("statuses").stream()
            .map(each -> Status.valueOf(each.toUpperCase(Locale.ROOT)))
            .toArray(Status[]::new);
    ListOptions options =
        ListOptions.ALL
            .withWorkflow(c.text("workflow"))
            .withStatuses(statuses)
            .withFilter(c.text("filter"))
            .withPageSize(c.number("pageSize", 0));
    List<String> ids = new ArrayList<>();
    for (Execution each : client(c).list(options)) {
      ids.add(each.id());
    }
    return object("ids", ids);
  }

  private Object signal(Command c) {
    Object payload = expanded(c.node().path("payload"));
    String id = c.text("requestId");
    long sequence =
        id.isEmpty()
            ? handle(c).signal(c.text("name"), payload)
            : handle(c).signal(c.text("name"), payload, id);
    return object("sequence", sequence);
  }

  private Object control(Command c) {
    Handle<JsonNode> handle = handle(c);
    switch (c.text("action")) {
      case "cancel" -> handle.cancel(c.text("reason"));
      case "terminate" -> handle.terminate(c.text("reason"));
      case "pause" -> handle.pause(c.text("reason"));
      case "resume" -> handle.resume(c.text("reason"));
      default -> throw new IllegalArgumentException("there is no action " + c.text("action"));
    }
    return object();
  }

  private Object put(Command c) {
    Value value = client(c).store(expanded(c.node().path("value")));
    return object("digest", value.digest(), "size", value.size());
  }

  private Object abandon(Command c) throws InterruptedException {
    AtomicBoolean left = new AtomicBoolean();
    Runnable work =
        () -> {
          try {
            if (c.node().has("digest")) {
              client(c).fetch(c.text("digest"), JsonNode.class);
            } else {
              put(c);
            }
          } catch (FlowmeshException interrupted) {
            left.set(interrupted.kind() == Kind.CANCELED);
          }
        };
    Thread thread = new Thread(work, "driver-abandon");
    thread.start();
    thread.join(c.number("afterMs", 0));
    thread.interrupt();
    thread.join();
    return object("left", left.get());
  }

  private Object serve(Command c) {
    FlowmeshClient client = client(c);
    Ledger ledger = new Ledger(client);
    Worker.Builder builder =
        Worker.builder(client)
            .slots(c.number("slots", 100))
            .queues(c.texts("queues"))
            .labels(c.texts2("labels"))
            .drain(Duration.ofMillis(c.number("drainMs", 10_000)));
    if (c.node().has("workerId")) {
      builder.id(c.text("workerId"));
    }
    c.texts2("tasks").forEach((t, name) -> builder.task(t, JsonNode.class, ledger.handler(name)));
    workers.put(c.name("worker"), new Serving(builder.start(), ledger));
    return object();
  }

  private Object submit(Command c) {
    Session session = of(sessions, c, "session");
    List<JsonNode> inputs = c.list("inputs");
    List<String> ids = c.texts("requestIds");
    boolean results = c.node().path("results").asBoolean(true);
    int count = Math.max(inputs.size(), c.number("count", 0));
    List<Callable<Session.Call>> calls = new ArrayList<>();
    for (int n = 0; n < count; n++) {
      Object input = inputs.isEmpty() ? object("n", n) : expanded(inputs.get(n));
      StartOptions options = StartOptions.NONE.withRequestId(ids.isEmpty() ? "" : ids.get(n));
      Session.Call call;
      try {
        call = session.start(c.text("workflow"), input, options, results);
      } catch (RuntimeException refused) {
        calls.add(() -> { throw refused; });
        continue;
      }
      calls.add(() -> call);
    }
    Object[] started = new Object[count];
    Object[] outputs = new Object[count];
    Object[] errors = new Object[count];
    for (int n = 0; n < count; n++) {
      try {
        Session.Call call = calls.get(n).call();
        started[n] = call.id();
        outputs[n] = results ? call.result(JsonNode.class) : null;
      } catch (Exception failed) {
        errors[n] = Values.error(failed);
      }
    }
    return object("ids", started, "outputs", outputs, "errors", errors);
  }

  private Object service(Command c) throws Exception {
    Mesh mesh = new Mesh(client(c));
    String key = c.text("name") + c.text("endpoint");
    switch (c.text("action")) {
      case "register":
        String[] capabilities = c.texts("capabilities").toArray(String[]::new);
        Service own = Service.of(c.text("name"), c.text("endpoint"), capabilities);
        services.put(key, mesh.register(own));
        return object();
      case "deregister":
        services.get(key).close();
        return object();
      case "resolve":
        return object("endpoints", Picks.counted(client(c), c.text("name"), c.number("picks", 0)));
      default:
        break;
    }
    String capability = c.text("capability");
    List<String> wanted = capability.isEmpty() ? List.of() : List.of(capability);
    Filter filter = new Filter(c.text("name"), "", wanted, List.of("HEALTHY"));
    List<Service> found = new ArrayList<>();
    if (c.text("action").equals("watch")) {
      try (Stream<List<Service>> watched = mesh.watch(filter)) {
        int count = c.number("count", 0);
        found = watched.filter(each -> each.size() == count).findFirst().orElseThrow();
      }
    } else {
      mesh.list(filter).forEach(found::add);
    }
    return object("endpoints", found.stream().map(Service::endpoint).sorted().toList());
  }

  private Object bench(Command c) throws Exception {
    int count = c.number("count", 0);
    String workflow = c.text("workflow");
    return switch (c.text("kind")) {
      case "latency" -> Bench.latency(client(c), workflow, count);
      case "starts" -> Bench.starts(client(c), workflow, count);
      default -> Bench.tasks(of(workers, c, "worker").ledger(), count);
    };
  }

  private void answer(String line) {
    Map<String, Object> answer = new LinkedHashMap<>();
    try {
      Command c = new Command(Values.JSON.readTree(line));
      answer.put("id", c.node().path("id"));
      Verb verb = verbs.get(c.text("verb"));
      if (verb == null) {
        throw new IllegalArgumentException("there is no verb " + c.text("verb"));
      }
      answer.put("value", Values.shortened(Values.JSON.valueToTree(verb.answer(c))));
    } catch (Throwable failed) {
      answer.remove("value");
      answer.put("error", Values.error(failed));
      if (!(failed instanceof RuntimeException)) {
        System.err.println(failed);
      }
    }
    try {
      output.println(Values.JSON.writeValueAsString(answer));
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /**
   * Reads commands to the end of the input.
   *
   * @param arguments none
   * @throws Exception if the input cannot be read
   */
  public static void main(String[] arguments) throws Exception {
    Driver driver = new Driver();
    ExecutorService answering =
        Executors.newCachedThreadPool(work -> new Thread(work, "driver"));
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String command = line;
      answering.execute(() -> driver.answer(command));
    }
    driver.reset();
    answering.shutdown();
    answering.awaitTermination(5, TimeUnit.SECONDS);
    System.exit(0);
  }
}
