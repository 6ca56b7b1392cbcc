package dev.flowmesh.sdk.internal;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.flowmesh.api.common.v1.Payload;
import dev.flowmesh.api.event.v1.LifecycleEvent;
import dev.flowmesh.api.execution.v1.ExecutionStatus;
import dev.flowmesh.api.execution.v1.NodeStatus;
import dev.flowmesh.api.history.v1.HistoryEvent;
import dev.flowmesh.sdk.Codec;
import dev.flowmesh.sdk.Event;
import dev.flowmesh.sdk.Execution;
import dev.flowmesh.sdk.Failure;
import dev.flowmesh.sdk.Node;
import dev.flowmesh.sdk.Status;
import dev.flowmesh.sdk.Value;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** The values of the SDK from messages. */
public final class Convert {
  private Convert() {}

  /** Returns a value of another encoding as JSON: a text, or base64. */
  static byte[] json(ByteString data, String encoding) {
    if (encoding.isEmpty() || encoding.contains("json") || data.isEmpty()) {
      return data.toByteArray();
    }
    boolean text = encoding.startsWith("text/") || encoding.endsWith("xml");
    Object value = text ? data.toString(StandardCharsets.UTF_8) : data.toByteArray();
    try {
      return new ObjectMapper().writeValueAsBytes(value);
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** Returns a value of a payload. */
  public static Value value(Codec codec, Payload payload) {
    if (payload.hasReference()) {
      var reference = payload.getReference();
      return new Value(codec, new byte[0], reference.getDigest(), reference.getSizeBytes());
    }
    byte[] data = json(payload.getData(), payload.getEncoding());
    return new Value(codec, data, "", data.length);
  }

  /** Returns a failure. */
  public static Failure failure(Codec codec, dev.flowmesh.api.common.v1.Failure failure) {
    byte[] details = failure.getDetails().toByteArray();
    return new Failure(
        failure.getClass_(),
        failure.getMessage(),
        failure.getNode(),
        Duration.ofMillis(failure.getRetryAfterMs()),
        new Value(codec, details, "", details.length));
  }

  /** Returns a status; one of a newer server is unknown. */
  public static Status status(ExecutionStatus status) {
    String word = status.name().replaceFirst("^EXECUTION_STATUS_", "");
    for (Status each : Status.values()) {
      if (each.name().equals(word)) {
        return each;
      }
    }
    return Status.UNKNOWN;
  }

  private static Instant moment(long micros) {
    return micros == 0 ? null : Instant.EPOCH.plus(micros, ChronoUnit.MICROS);
  }

  private static String word(NodeStatus status) {
    String name = status == NodeStatus.UNRECOGNIZED ? "UNKNOWN" : status.name();
    return name.replaceFirst("^NODE_STATUS_", "").toLowerCase(Locale.ROOT);
  }

  private static Node node(Codec codec, dev.flowmesh.api.execution.v1.Node node) {
    return new Node(
        node.getId(),
        node.getName().isEmpty() ? node.getId() : node.getName(),
        word(node.getStatus()),
        node.getTaskType(),
        node.getAttempts(),
        node.getDependenciesList(),
        node.getWorkerId(),
        moment(node.getStartedAtUs()),
        moment(node.getEndedAtUs()),
        value(codec, node.getOutput()),
        node.hasFailure() ? failure(codec, node.getFailure()) : null,
        node.getHeld(),
        node.getChildExecutionId());
  }

  /** Returns an execution. */
  public static Execution execution(
      Codec codec, dev.flowmesh.api.execution.v1.Execution execution) {
    Map<String, Value> variables = new LinkedHashMap<>();
    execution.getVariablesMap().forEach((name, each) -> variables.put(name, value(codec, each)));
    return new Execution(
        execution.getExecutionId(),
        execution.getNamespace(),
        execution.getWorkflowId(),
        execution.getWorkflowVersion(),
        status(execution.getStatus()),
        moment(execution.getStartedAtUs()),
        moment(execution.getEndedAtUs()),
        value(codec, execution.getInput()),
        value(codec, execution.getOutput()),
        execution.hasFailure() ? failure(codec, execution.getFailure()) : null,
        execution.getLastSequence(),
        execution.getRequestId(),
        execution.getLink().getParentId(),
        execution.getContinuedAs(),
        variables,
        execution.getNodesList().stream().map(each -> node(codec, each)).toList());
  }

  /** Returns an event with its cursor. */
  public static Event event(LifecycleEvent message, String cursor) {
    HistoryEvent event = message.getEvent();
    String type = message.hasSignalFlow() ? "SignalFlow" : "Unknown";
    String node = "";
    int attempt = 0;
    if (!message.hasSignalFlow()) {
      var kinds = event.getDescriptorForType().getOneofs().get(0);
      FieldDescriptor kind = event.getOneofFieldDescriptor(kinds);
      if (kind != null) {
        type = camelCase(kind.getName());
        Message body = (Message) event.getField(kind);
        node = member(body, "node") instanceof String found ? found : "";
        attempt = member(body, "attempt") instanceof Integer found ? found : 0;
      }
    }
    return new Event(
        type,
        event.getSequence(),
        message.getExecutionId(),
        message.getWorkflowId(),
        node,
        attempt,
        moment(event.getAtUs()),
        cursor,
        event);
  }

  private static Object member(Message body, String name) {
    FieldDescriptor field = body.getDescriptorForType().findFieldByName(name);
    return field == null || field.isRepeated() ? null : body.getField(field);
  }

  private static String camelCase(String name) {
    StringBuilder text = new StringBuilder();
    for (String part : name.split("_")) {
      text.append(Character.toUpperCase(part.charAt(0))).append(part.substring(1));
    }
    return text.toString();
  }
}
