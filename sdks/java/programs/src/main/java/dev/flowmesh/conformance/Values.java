package dev.flowmesh.conformance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.flowmesh.sdk.Event;
import dev.flowmesh.sdk.Execution;
import dev.flowmesh.sdk.ExecutionFailedException;
import dev.flowmesh.sdk.Failure;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.JacksonCodec;
import dev.flowmesh.sdk.Kind;
import dev.flowmesh.sdk.Node;
import dev.flowmesh.sdk.Value;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;

/** The values of commands and answers. */
final class Values {
  static final ObjectMapper JSON = JacksonCodec.mapper();
  static final int TEXT_MAX = 1000;

  private Values() {}

  static Map<String, Object> object(Object... members) {
    Map<String, Object> found = new LinkedHashMap<>();
    for (int at = 0; at < members.length; at += 2) {
      found.put((String) members[at], members[at + 1]);
    }
    return found;
  }

  /** Returns the value of a command, with the texts and wrong values that it stands for. */
  static Object expanded(JsonNode node) {
    if (node.has("$text")) {
      return "x".repeat(node.get("$text").asInt());
    }
    if (node.has("$bad")) {
      return bad(node.get("$bad").asText());
    }
    if (node.isObject()) {
      Map<String, Object> found = new LinkedHashMap<>();
      node.properties().forEach(each -> found.put(each.getKey(), expanded(each.getValue())));
      return found;
    }
    if (node.isArray()) {
      return StreamSupport.stream(node.spliterator(), false).map(Values::expanded).toList();
    }
    return node.isMissingNode() || node.isNull() ? null : node;
  }

  private static Object bad(String kind) {
    List<Object> cycle = new ArrayList<>();
    cycle.add(cycle);
    Runnable function = () -> {};
    return switch (kind) {
      case "cycle" -> cycle;
      case "surrogate" -> "\ud800";
      case "function" -> function;
      default -> Double.NaN;
    };
  }

  /** Returns an answer whose long texts are replaced by their length and digest. */
  static JsonNode shortened(JsonNode node) {
    if (node.isTextual() && node.textValue().length() > TEXT_MAX) {
      String text = node.textValue();
      int length = text.codePointCount(0, text.length());
      return JSON.valueToTree(object("$text", length, "sha256", digest(text)));
    }
    if (node.isObject()) {
      Map<String, JsonNode> found = new LinkedHashMap<>();
      node.properties().forEach(each -> found.put(each.getKey(), shortened(each.getValue())));
      return JSON.valueToTree(found);
    }
    if (node.isArray()) {
      return JSON.valueToTree(
          StreamSupport.stream(node.spliterator(), false).map(Values::shortened).toList());
    }
    return node;
  }

  private static String digest(String text) {
    try {
      byte[] data = text.getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  static Object failure(Failure failure) {
    return failure == null
        ? null
        : object("class", failure.name(), "message", failure.message(), "node", failure.node());
  }

  static Map<String, Object> values(Map<String, Value> values) {
    Map<String, Object> found = new LinkedHashMap<>();
    values.forEach((name, value) -> found.put(name, value.as(JsonNode.class)));
    return found;
  }

  static Map<String, Object> execution(Execution execution) {
    Map<String, Object> nodes = new LinkedHashMap<>();
    for (Node node : execution.nodes()) {
      nodes.put(
          node.id(),
          object(
              "status", node.status(), "attempts", node.attempts(), "taskType", node.taskType(),
              "failure", failure(node.failure()), "held", node.held()));
    }
    return object(
        "id", execution.id(), "workflow", execution.workflowId(),
        "version", execution.version(), "status", execution.status().word(),
        "lastSequence", execution.lastSequence(), "failure", failure(execution.failure()),
        "variables", values(execution.variables()), "nodes", nodes);
  }

  static Map<String, Object> event(Event event) {
    String type = event.type().equals("Unknown") ? "" : event.type();
    return object("type", type, "sequence", event.sequence(), "node", event.node());
  }

  static Map<String, Object> error(Throwable failed) {
    Map<String, Object> found =
        object("kind", "Internal", "reason", "", "message", String.valueOf(failed.getMessage()));
    if (failed instanceof ExecutionFailedException ended) {
      found.put("kind", "ExecutionFailed");
      found.put("status", ended.status().word());
      found.put("failure", failure(ended.failure()));
    } else if (failed instanceof FlowmeshException refused) {
      found.put("kind", refused.kind() == Kind.CANCELED ? "Closed" : refused.kind().word());
      found.put("reason", refused.reason());
      found.put("message", refused.text());
      found.put(
          "violations",
          refused.violations().stream()
              .map(
                  each ->
                      object(
                          "field", each.field(), "code", each.code(),
                          "line", each.line(), "column", each.column()))
              .toList());
      if (!refused.retryAfter().isZero()) {
        found.put("retryAfterMs", refused.retryAfter().toMillis());
      }
    } else if (failed instanceof IllegalArgumentException) {
      found.put("kind", "Usage");
    }
    return found;
  }
}
