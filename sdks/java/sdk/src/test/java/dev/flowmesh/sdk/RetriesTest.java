package dev.flowmesh.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import dev.flowmesh.api.common.v1.Payload;
import dev.flowmesh.api.execution.v1.StartExecutionResponse;
import dev.flowmesh.stub.Stub;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Calls are retried as the vectors of all SDKs say, and within a budget. */
class RetriesTest {
  private static final File VECTORS = new File("../../conformance/vectors/retries.json");
  private static final Payload NULL =
      Payload.newBuilder().setData(ByteString.copyFromUtf8("null")).build();

  static Stream<JsonNode> vectors() throws IOException {
    // The number of tries of those with a verb is a range, checked by the conformance run.
    return StreamSupport.stream(new ObjectMapper().readTree(VECTORS).spliterator(), false)
        .filter(vector -> !vector.has("verb"));
  }

  private static StartExecutionResponse answer(JsonNode given) {
    if (!given.has("code")) {
      return Stub.completed(NULL);
    }
    Status.Builder status = Status.newBuilder();
    status.setCode(Code.valueOf(given.path("code").asText()).getNumber()).setMessage("scripted");
    if (given.has("reason")) {
      String reason = given.path("reason").asText();
      ErrorInfo info = ErrorInfo.newBuilder().setReason(reason).setDomain("flowmesh").build();
      status.addDetails(Any.pack(info));
    }
    if (given.has("retryMs")) {
      long ms = given.path("retryMs").asLong();
      Duration delay =
          Duration.newBuilder()
              .setSeconds(ms / 1000)
              .setNanos((int) (ms % 1000) * 1_000_000)
              .build();
      status.addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()));
    }
    throw StatusProto.toStatusRuntimeException(status.build());
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void followTheVectors(JsonNode vector) throws IOException {
    List<String> ids = new CopyOnWriteArrayList<>();
    List<Long> times = new CopyOnWriteArrayList<>();
    JsonNode answers = vector.path("answers");
    String outcome = "ok";
    try (Stub stub =
            new Stub(
                request -> {
                  ids.add(request.getRequestId());
                  times.add(System.nanoTime());
                  return answer(answers.get(Math.min(ids.size(), answers.size()) - 1));
                });
        FlowmeshClient client = stub.client()) {
      client.start("any", null);
    } catch (FlowmeshException refused) {
      outcome = refused.kind().word();
    }
    assertEquals(vector.path("outcome").asText(), outcome);
    assertEquals(vector.path("tries").asInt(), ids.size());
    assertEquals(1, ids.stream().distinct().count(), "all tries have one request id");
    for (int n = 0; n < vector.path("gapsMs").size(); n++) {
      long ms = (times.get(n + 1) - times.get(n)) / 1_000_000;
      JsonNode gap = vector.path("gapsMs").get(n);
      assertTrue(gap.get(0).asLong() <= ms && ms <= gap.get(1).asLong(), n + ": " + ms + " ms");
    }
  }

  @Test
  void ofAllCallsTogetherAreBounded() throws Exception {
    JsonNode refusal =
        new ObjectMapper().createObjectNode().put("code", "UNAVAILABLE").put("reason", "DRAINING");
    AtomicInteger calls = new AtomicInteger();
    try (Stub stub =
            new Stub(
                request -> {
                  calls.incrementAndGet();
                  return answer(refusal);
                });
        FlowmeshClient client = stub.client()) {
      List<Callable<FlowmeshException>> starts =
          Collections.nCopies(
              20, () -> assertThrows(FlowmeshException.class, () -> client.start("any", null)));
      ExecutorService threads = Executors.newFixedThreadPool(20);
      for (Future<FlowmeshException> each : threads.invokeAll(starts)) {
        assertEquals("DRAINING", each.get().reason());
      }
      threads.shutdown();
      assertEquals(30, calls.get(), "20 calls and the 10 retries of the budget");
    }
  }
}
