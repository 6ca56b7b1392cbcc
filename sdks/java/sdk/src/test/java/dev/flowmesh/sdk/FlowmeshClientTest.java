package dev.flowmesh.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.flowmesh.stub.Stub;
import io.grpc.Metadata;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bad addresses, values, credentials and deadlines are refused; nothing is left after close. */
@Timeout(30)
class FlowmeshClientTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static String reason(Runnable call) {
    return assertThrows(FlowmeshException.class, call::run).reason();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nonsense", "ftp://host:1", "grpc://user@host:1", "host:1/path", "a b:1", "host:1\0",
        "host:99999", ":1"
      })
  void addressesAreCheckedBeforeAConnection(String address) {
    ClientBuilder builder = FlowmeshClient.builder().address(address);
    assertEquals("ENDPOINT_INVALID", reason(builder::build));
  }

  @Test
  void aCredentialIsNotSentInPlainTextToAnotherHost() {
    ClientBuilder builder =
        FlowmeshClient.builder().address("example.com:7450").apiKey("very-secret");
    FlowmeshException refused = assertThrows(FlowmeshException.class, builder::build);
    assertEquals("PLAINTEXT_REFUSED", refused.reason());
    assertFalse(refused.getMessage().contains("very-secret"));
    builder.plaintext().build().close();
  }

  @Test
  void aClosedPortIsNamedWithin5Seconds() throws IOException {
    int port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    String address = "127.0.0.1:" + port;
    long began = System.nanoTime();
    ClientBuilder builder = FlowmeshClient.builder().address(address).withoutCredential();
    FlowmeshException refused =
        assertThrows(FlowmeshException.class, () -> builder.build().connected());
    assertEquals(Kind.UNAVAILABLE, refused.kind());
    assertTrue(refused.getMessage().contains(address), refused.getMessage());
    assertTrue(System.nanoTime() - began < Duration.ofSeconds(7).toNanos());
  }

  @Test
  void valuesThatAreNotJsonAreRefusedBeforeTheWire() throws IOException {
    Map<String, Object> cycle = new HashMap<>();
    cycle.put("self", cycle);
    try (Stub stub = new Stub();
        FlowmeshClient client = stub.client()) {
      for (Object value : List.of(Double.NaN, cycle, "\ud800", Map.of("deep", new Object()))) {
        assertEquals("JSON_INVALID", reason(() -> client.start("any", value)));
      }
      assertEquals(List.of(), stub.metadata);
    }
  }

  @Test
  void numbersStayExact() throws Exception {
    BigInteger large = new BigInteger("18446744073709551615");
    try (Stub stub = new Stub();
        FlowmeshClient client = stub.client()) {
      assertEquals(Map.of("n", large), client.run("any", Map.of("n", large), Object.class));
      assertEquals("ünïcode 𝄞", client.run("any", "ünïcode 𝄞", String.class));
    }
  }

  @Test
  void aTokenProviderThatFailsFailsTheCallAlone() throws IOException {
    AtomicInteger calls = new AtomicInteger();
    try (Stub stub = new Stub()) {
      ClientBuilder builder = FlowmeshClient.builder().address(stub.address());
      try (FlowmeshClient client =
          builder.tokenProvider(() -> { throw new IOException("no token today"); }).build()) {
        FlowmeshException refused =
            assertThrows(FlowmeshException.class, () -> client.start("any", null));
        assertTrue(refused.getMessage().contains("no token today"));
      }
      try (FlowmeshClient client = builder.tokenProvider(() -> "a\r\nb").build()) {
        assertEquals("CREDENTIAL_MALFORMED", reason(() -> client.start("any", null)));
      }
      try (FlowmeshClient client =
          builder.tokenProvider(() -> "token-" + calls.incrementAndGet()).build()) {
        client.start("any", null);
        client.start("any", null);
      }
      List<String> sent = stub.metadata.stream().map(each -> each.get(AUTHORIZATION)).toList();
      assertEquals(List.of("Bearer token-1", "Bearer token-1"), sent);
    }
  }

  @Test
  void aDeadlineEndsACall() throws IOException {
    CountDownLatch released = new CountDownLatch(1);
    try (Stub stub =
            new Stub(
                request -> {
                  try {
                    released.await();
                  } catch (InterruptedException ending) {
                    Thread.currentThread().interrupt();
                  }
                  return Stub.completed(request.getInput());
                });
        FlowmeshClient client = stub.client()) {
      StartOptions soon = StartOptions.NONE.withTimeout(Duration.ofMillis(50));
      FlowmeshException refused =
          assertThrows(
              FlowmeshException.class, () -> client.run("any", null, Object.class, soon));
      assertEquals(Kind.TIMEOUT, refused.kind());
      released.countDown();
    }
  }

  @Test
  void noThreadIsLeftAfterClose() throws Exception {
    Set<Thread> before;
    try (Stub stub = new Stub()) {
      stub.client().close();
      before = own();
      FlowmeshClient client = stub.client();
      Session session = client.session();
      for (int n = 0; n < 100; n++) {
        assertEquals(n, session.start("any", n).result(Integer.class));
      }
      session.close();
      session.close();
      assertThrows(FlowmeshException.class, () -> session.start("any", 1).result(Integer.class));
      client.close();
      client.close();
      assertEquals("CLOSED", reason(() -> client.start("any", 1)));
      for (int n = 0; n < 300 && !before.containsAll(own()); n++) {
        Thread.sleep(10);
      }
      Set<Thread> left = own();
      left.removeAll(before);
      assertEquals(Set.of(), left);
    }
  }

  @Test
  void aStartOfASessionHasNoTimeout() throws Exception {
    try (Stub stub = new Stub();
        Session session = stub.client().session()) {
      StartOptions soon = StartOptions.NONE.withTimeout(Duration.ofSeconds(1));
      assertThrows(IllegalArgumentException.class, () -> session.start("any", 1, soon, true));
    }
  }

  /** Returns the threads of the SDK; those of gRPC are shared with the stub. */
  private static Set<Thread> own() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(each -> each.getName().startsWith("flowmesh"))
        .collect(Collectors.toSet());
  }
}
