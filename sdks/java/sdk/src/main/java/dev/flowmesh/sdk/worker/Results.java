package dev.flowmesh.sdk.worker;

import com.google.protobuf.ByteString;
import dev.flowmesh.api.common.v1.Failure;
import dev.flowmesh.api.worker.v1.TaskResult;
import dev.flowmesh.sdk.Codec;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.internal.Limits;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The results of failed attempts. */
final class Results {
  private static final int TEXT_BYTES = 4096;
  private static final int STACK_BYTES = 8 * 1024;

  private Results() {}

  static TaskResult failed(String token, String name, String message) {
    return of(token, failure(name, message));
  }

  private static Failure.Builder failure(String name, String message) {
    return Failure.newBuilder()
        .setClass_(text(name, TEXT_BYTES))
        .setMessage(text(message, TEXT_BYTES));
  }

  private static TaskResult of(String token, Failure.Builder failure) {
    return TaskResult.newBuilder().setToken(token).setFailure(failure).build();
  }

  /** Returns the result of an error of a handler; a task that is not wanted names the cause. */
  static TaskResult thrown(Codec codec, String token, Throwable failed, String unwanted) {
    String message = failed.getMessage() == null ? failed.toString() : failed.getMessage();
    if (failed instanceof TaskFailure chosen) {
      return chosen(codec, token, chosen);
    }
    if (!unwanted.isEmpty()) {
      return failed(token, unwanted, message);
    }
    if (failed instanceof FlowmeshException refused) {
      return failed(token, refused.kind().word(), refused.getMessage());
    }
    if (failed instanceof Error) {
      StringWriter stack = new StringWriter();
      failed.printStackTrace(new PrintWriter(stack, true));
      byte[] details =
          codec.encode(Map.of("traceback", text(stack.toString(), STACK_BYTES)));
      return of(token, failure("Panic", message).setDetails(ByteString.copyFrom(details)));
    }
    String name = failed.getClass().getSimpleName();
    return failed(token, name.isEmpty() ? "Error" : name, message);
  }

  private static TaskResult chosen(Codec codec, String token, TaskFailure failed) {
    String message = failed.getMessage();
    message = message == null || message.isEmpty() ? failed.name() : message;
    Failure.Builder failure =
        failure(failed.name(), message).setRetryAfterMs(failed.retryAfter().toMillis());
    if (failed.details() != null) {
      byte[] details;
      try {
        details = codec.encode(failed.details());
      } catch (FlowmeshException wrong) {
        return failed(token, "ValidationError", "details of a failure: " + wrong.text());
      }
      if (details.length <= Limits.INLINE_BYTES) {
        failure.setDetails(ByteString.copyFrom(details));
      } else {
        String note = ": its details have %d bytes, more than the limit of 256 KiB";
        failure.setMessage(text(message + String.format(note, details.length), TEXT_BYTES));
      }
    }
    return of(token, failure);
  }

  /** Returns the result for a value that could not be fetched, stored or converted. */
  static TaskResult transfer(String token, String field, FlowmeshException failed) {
    boolean network = failed.kind() == Kind.UNAVAILABLE || failed.kind() == Kind.TIMEOUT;
    boolean canceled = failed.kind() == Kind.CANCELED || failed.kind() == Kind.CLOSED;
    String name = network ? "NetworkError" : canceled ? "Cancelled" : "ValidationError";
    return failed(token, name, field + ": " + failed.text());
  }

  /** Returns valid UTF-8 of at most a number of bytes. */
  private static String text(String given, int most) {
    ByteBuffer bytes = StandardCharsets.UTF_8.encode(given.replace('\0', '?'));
    if (bytes.limit() <= most) {
      return StandardCharsets.UTF_8.decode(bytes).toString();
    }
    CharBuffer cut = CharBuffer.allocate(most);
    bytes.limit(most);
    StandardCharsets.UTF_8.newDecoder().decode(bytes, cut, false); // leaves half a character out
    return cut.flip().toString();
  }
}
