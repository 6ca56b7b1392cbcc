package dev.flowmesh.sdk.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.common.v1.Payload;
import dev.flowmesh.api.worker.v1.Task;
import dev.flowmesh.sdk.FlowmeshClient;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.stub.Stub;
import io.grpc.Metadata;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Outcomes of handlers, heartbeats, and the end of workers whose handlers ignore it. */
@Timeout(30)
class WorkerTest {
  private static final String TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  private static Task task(String token, String input) {
    return Task.newBuilder()
        .setToken(token)
        .setTaskType("t")
        .setAttempt(1)
        .setExecutionId("e")
        .setNode("n")
        .setTraceparent(TRACE)
        .setInput(Payload.newBuilder().setData(ByteString.copyFromUtf8(input)))
        .build();
  }

  private static Object fails(String how) throws Exception {
    switch (how) {
      case "nothing":
        return null;
      case "plain":
        throw new IOException("broken");
      case "chosen":
        throw new TaskFailure("Slow", "wait", Duration.ofMillis(50), Map.of("n", 1));
      case "final":
        throw TaskFailure.nonRetryable("never");
      case "panic":
        throw new AssertionError("panic on purpose");
      default:
        return new Object();
    }
  }

  @Test
  void outcomesHaveTheirClasses() throws Exception {
    Map<String, String> classes =
        Map.of(
            "plain", "IOException: broken",
            "chosen", "Slow: wait",
            "final", "NonRetryable: never",
            "panic", "Panic: panic on purpose");
    Task[] tasks = {
      task("nothing", "\"nothing\""), task("plain", "\"plain\""), task("chosen", "\"chosen\""),
      task("final", "\"final\""), task("panic", "\"panic\""), task("output", "\"output\""),
      task("input", "{}")
    };
    try (Stub stub = new Stub(tasks);
        FlowmeshClient client = stub.client();
        Worker worker =
            Worker.builder(client).task("t", String.class, (how, t) -> fails(how)).start()) {
      assertTrue(worker.id().startsWith("worker-"));
      assertEquals("null", stub.result("nothing").getOutput().getData().toStringUtf8());
      for (var wanted : classes.entrySet()) {
        var failure = stub.result(wanted.getKey()).getFailure();
        assertEquals(wanted.getValue(), failure.getClass_() + ": " + failure.getMessage());
      }
      var chosen = stub.result("chosen").getFailure();
      assertEquals(50, chosen.getRetryAfterMs());
      assertEquals("{\"n\":1}", chosen.getDetails().toStringUtf8());
      assertTrue(stub.result("panic").getFailure().getDetails().size() <= 9 * 1024);
      for (String value : new String[] {"input", "output"}) {
        var failure = stub.result(value).getFailure();
        assertEquals("ValidationError", failure.getClass_());
        assertTrue(failure.getMessage().startsWith(value + ": "), failure.getMessage());
      }
    }
  }

  @Test
  void callsOfAHandlerBelongToTheTraceOfItsTask() throws Exception {
    Metadata.Key<String> key =
        Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);
    try (Stub stub = new Stub(task("a", "1"));
        FlowmeshClient client = stub.client();
        Worker worker =
            Worker.builder(client)
                .task("t", Integer.class, (n, t) -> client.run("other", n, Integer.class))
                .start()) {
      assertEquals("1", stub.result("a").getOutput().getData().toStringUtf8(), worker.id());
      assertTrue(stub.metadata.stream().anyMatch(each -> TRACE.equals(each.get(key))));
    }
  }

  @Test
  void aTokenRunsOnce() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    try (Stub stub = new Stub(task("a", "1"), task("a", "1"), task("b", "2"));
        FlowmeshClient client = stub.client();
        Worker worker =
            Worker.builder(client)
                .task("t", Integer.class, (n, t) -> calls.incrementAndGet())
                .start()) {
      stub.result("a");
      stub.result("b");
      assertEquals(2, calls.get(), worker.id());
    }
  }

  @Test
  void heartbeatsAboveTheLimitAreRefused() throws Exception {
    AtomicReference<FlowmeshException> refused = new AtomicReference<>();
    try (Stub stub = new Stub(task("a", "70000"));
        FlowmeshClient client = stub.client();
        Worker worker =
            Worker.builder(client)
                .task(
                    "t",
                    Integer.class,
                    (bytes, t) -> {
                      t.heartbeat("fine");
                      String large = "x".repeat(bytes);
                      refused.set(
                          assertThrows(FlowmeshException.class, () -> t.heartbeat(large)));
                      return null;
                    })
                .start()) {
      stub.result("a");
      assertEquals("PAYLOAD_TOO_LARGE", refused.get().reason(), worker.id());
    }
  }

  @Test
  void handlersThatIgnoreTheEndDoNotHoldTheWorker() throws Exception {
    CountDownLatch began = new CountDownLatch(2);
    CountDownLatch released = new CountDownLatch(1);
    CountDownLatch interrupted = new CountDownLatch(1);
    try (Stub stub = new Stub(task("stubborn", "true"), task("polite", "false"));
        FlowmeshClient client = stub.client()) {
      Worker worker =
          Worker.builder(client)
              .drain(Duration.ofMillis(50))
              .task(
                  "t",
                  Boolean.class,
                  (stubborn, t) -> {
                    began.countDown();
                    while (released.getCount() > 0) {
                      try {
                        released.await();
                      } catch (InterruptedException ending) {
                        interrupted.countDown();
                        if (!stubborn) {
                          throw ending;
                        }
                      }
                    }
                    return null;
                  })
              .start();
      began.await();
      long stopping = System.nanoTime();
      worker.close();
      worker.close();
      assertTrue(System.nanoTime() - stopping < Duration.ofSeconds(5).toNanos());
      interrupted.await();
      released.countDown();
    }
  }

  @Test
  void aCloseFromAHandlerReturns() throws Exception {
    AtomicReference<Worker> worker = new AtomicReference<>();
    CountDownLatch started = new CountDownLatch(1);
    CountDownLatch closed = new CountDownLatch(1);
    try (Stub stub = new Stub(task("a", "1"));
        FlowmeshClient client = stub.client()) {
      worker.set(
          Worker.builder(client)
              .drain(Duration.ofMillis(50))
              .task(
                  "t",
                  Integer.class,
                  (n, t) -> {
                    started.await();
                    worker.get().close();
                    closed.countDown();
                    return null;
                  })
              .start());
      started.countDown();
      closed.await();
      worker.get().close();
    }
  }

  @Test
  void wrongWorkersAreRefused() throws Exception {
    try (Stub stub = new Stub();
        FlowmeshClient client = stub.client()) {
      Worker.Builder builder = Worker.builder(client);
      assertEquals("HELLO_INVALID", refusal(builder::start));
      builder.task("t", Object.class, (none, t) -> null);
      assertEquals(
          "HELLO_INVALID", refusal(() -> builder.task("t", Object.class, (none, t) -> null)));
      assertEquals("HELLO_INVALID", refusal(() -> builder.slots(10_001).start()));
    }
  }

  private static String refusal(Runnable call) {
    return assertThrows(FlowmeshException.class, call::run).reason();
  }
}
