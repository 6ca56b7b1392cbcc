package dev.flowmesh.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Any;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import dev.flowmesh.stub.Stub;
import io.grpc.Metadata;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A refusal that names another cell is followed once, and later calls go there directly. */
@Timeout(30)
class CellsTest {
  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** Lets a server refuse all calls and name the cell at an address. */
  private static void misdirect(Stub stub, String address) {
    Metadata trailers = new Metadata();
    trailers.put(key("flowmesh-cell-address"), address);
    ErrorInfo info = ErrorInfo.newBuilder().setReason("CELL_MISDIRECTED").build();
    Status status =
        Status.newBuilder()
            .setCode(Code.FAILED_PRECONDITION_VALUE)
            .addDetails(Any.pack(info))
            .build();
    stub.refusal = StatusProto.toStatusRuntimeException(status, trailers);
  }

  private static FlowmeshClient client(Stub stub) {
    return FlowmeshClient.builder().address(stub.address()).token("token").build();
  }

  @Test
  void callsAreRepeatedThereAndThenGoDirect() throws Exception {
    try (Stub us = new Stub();
        Stub eu = new Stub();
        FlowmeshClient client = client(us)) {
      misdirect(us, eu.address());
      client.start("any", null);
      client.start("any", null);
      assertEquals(1, us.metadata.size());
      List<String> sent = eu.metadata.stream().map(each -> each.get(AUTHORIZATION)).toList();
      assertEquals(List.of("Bearer token", "Bearer token"), sent);
    }
  }

  @Test
  void streamsAreOpenedThere() throws Exception {
    try (Stub us = new Stub();
        Stub eu = new Stub();
        FlowmeshClient client = client(us);
        Session session = client.session()) {
      misdirect(us, eu.address());
      assertEquals(1, session.start("any", 1).result(Integer.class));
    }
  }

  @Test
  void cellsThatNameEachOtherAreAnError() throws Exception {
    try (Stub us = new Stub();
        Stub eu = new Stub();
        FlowmeshClient client = client(us)) {
      misdirect(us, eu.address());
      misdirect(eu, us.address());
      FlowmeshException refused =
          assertThrows(FlowmeshException.class, () -> client.start("any", null));
      assertEquals("CELL_MISDIRECTED", refused.reason());
      assertEquals(List.of(1, 1), List.of(us.metadata.size(), eu.metadata.size()));
    }
  }

  @Test
  void aCredentialIsNotSentInPlainTextToACellOnAnotherHost() throws Exception {
    try (Stub us = new Stub();
        FlowmeshClient client = client(us)) {
      misdirect(us, "example.com:7450");
      FlowmeshException refused =
          assertThrows(FlowmeshException.class, () -> client.start("any", null));
      assertEquals("PLAINTEXT_REFUSED", refused.reason());
    }
  }
}
