package dev.flowmesh.sdk.internal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.FlowmeshException.Violation;
import dev.flowmesh.sdk.Kind;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** The exceptions of failed calls. */
public final class Failures {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Metadata.Key<String> CELL =
      Metadata.Key.of("flowmesh-cell-address", Metadata.ASCII_STRING_MARSHALLER);

  private Failures() {}

  /** Returns the exception of a use after close. */
  public static FlowmeshException closed() {
    return new FlowmeshException(Kind.CLOSED, "CLOSED", "the client is closed");
  }

  /** Returns an exception of the SDK itself. */
  public static FlowmeshException of(Kind kind, String reason, String format, Object... parts) {
    return new FlowmeshException(kind, reason, String.format(format, parts));
  }

  /** Returns the exception of an interrupted thread, whose flag is set again. */
  public static FlowmeshException interrupted() {
    Thread.currentThread().interrupt();
    return new FlowmeshException(Kind.CANCELED, "CANCELED", "the thread was interrupted");
  }

  /** Returns the kind of a reason that a server sent with a code. */
  public static Kind kind(Status.Code code, String reason) {
    if (reason.endsWith("_TOO_LARGE")) {
      return Kind.TOO_LARGE;
    }
    return switch (code) {
      case INVALID_ARGUMENT -> Kind.INVALID;
      case UNAUTHENTICATED -> Kind.UNAUTHENTICATED;
      case PERMISSION_DENIED -> Kind.FORBIDDEN;
      case NOT_FOUND -> Kind.NOT_FOUND;
      case ALREADY_EXISTS -> Kind.CONFLICT;
      case FAILED_PRECONDITION -> Kind.WRONG_STATE;
      case OUT_OF_RANGE -> Kind.GONE;
      case RESOURCE_EXHAUSTED -> Kind.OVERLOADED;
      case UNAVAILABLE, CANCELLED -> Kind.UNAVAILABLE;
      case DEADLINE_EXCEEDED -> Kind.TIMEOUT;
      case UNIMPLEMENTED -> Kind.UNIMPLEMENTED;
      default -> Kind.INTERNAL;
    };
  }

  private static String reason(Status.Code code) {
    return switch (code) {
      case INVALID_ARGUMENT -> "REQUEST_INVALID";
      case PERMISSION_DENIED -> "FORBIDDEN";
      case RESOURCE_EXHAUSTED -> "OVERLOADED";
      case UNAVAILABLE, CANCELLED -> "SERVICE_UNAVAILABLE";
      case UNAUTHENTICATED, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION -> code.name();
      case OUT_OF_RANGE, DEADLINE_EXCEEDED, UNIMPLEMENTED -> code.name();
      default -> "INTERNAL";
    };
  }

  /** Returns the address of the cell that serves a refused call; empty if the refusal has none. */
  static String cell(Throwable failed) {
    Metadata trailers = Status.trailersFromThrowable(failed);
    String found = trailers == null ? null : trailers.get(CELL);
    return found == null ? "" : found;
  }

  /** Returns whether no server answered. */
  static boolean unreachable(Status status) {
    return status.getCode() == Status.Code.UNAVAILABLE
        || status.getCause() instanceof IOException;
  }

  /** Returns the exception of a status; its message names the address if no server answered. */
  static FlowmeshException translated(Throwable failed, String address) {
    if (failed instanceof FlowmeshException known) {
      return known;
    }
    FlowmeshException detailed = withDetails(failed);
    if (detailed != null) {
      return detailed;
    }
    Status status = Status.fromThrowable(failed);
    String text = described(status);
    if (text.contains("exceeds maximum") || text.contains("larger than max")) {
      return made(Kind.TOO_LARGE, "PAYLOAD_TOO_LARGE", "the message exceeds a limit: " + text, 0);
    }
    if (!unreachable(status)) {
      Status.Code code = status.getCode();
      return new FlowmeshException(
          kind(code, ""), reason(code), text, List.of(), Duration.ZERO, failed);
    }
    if (text.contains("SSL") || text.contains("TLS") || text.contains("certificate")) {
      String handshake = "the TLS handshake with " + address + " failed: " + text;
      return made(Kind.WRONG_STATE, "TLS_FAILED", handshake, 0);
    }
    String hint = "no server responds at %s; `flowmesh dev` starts a suite (%s)";
    return made(
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        String.format(hint, address, text),
        Limits.UNREACHABLE_RETRY.toMillis());
  }

  private static String described(Status status) {
    StringBuilder text = new StringBuilder(String.valueOf(status.getDescription()));
    for (Throwable cause = status.getCause(); cause != null; cause = cause.getCause()) {
      text.append(": ").append(cause);
    }
    return text.toString();
  }

  /** Returns an exception with a delay. */
  public static FlowmeshException made(Kind kind, String reason, String text, long retryMs) {
    Duration delay = Duration.ofMillis(retryMs);
    return new FlowmeshException(kind, reason, text, List.of(), delay, null);
  }

  private static FlowmeshException withDetails(Throwable failed) {
    com.google.rpc.Status status = StatusProto.fromThrowable(failed);
    if (status == null) {
      return null;
    }
    String reason = "";
    String places = "[]";
    Duration delay = Duration.ZERO;
    BadRequest wrong = BadRequest.getDefaultInstance();
    try {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          places = info.getMetadataOrDefault("violations", "[]");
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration found = detail.unpack(RetryInfo.class).getRetryDelay();
          delay = Duration.ofSeconds(found.getSeconds(), found.getNanos());
        } else if (detail.is(BadRequest.class)) {
          wrong = detail.unpack(BadRequest.class);
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      return null;
    }
    if (reason.isEmpty()) {
      return null;
    }
    Kind kind = kind(Status.fromCodeValue(status.getCode()).getCode(), reason);
    return new FlowmeshException(
        kind, reason, status.getMessage(), violations(wrong, places), delay, failed);
  }

  private static List<Violation> violations(BadRequest wrong, String places) {
    JsonNode at;
    try {
      at = JSON.readTree(places);
    } catch (IOException unreadable) {
      at = JSON.createArrayNode();
    }
    List<Violation> found = new ArrayList<>();
    for (BadRequest.FieldViolation each : wrong.getFieldViolationsList()) {
      JsonNode place = at.path(found.size());
      found.add(
          new Violation(
              each.getField(),
              each.getDescription(),
              place.path("code").asText(),
              place.path("line").asInt(),
              place.path("column").asInt()));
    }
    return found;
  }
}
