package dev.flowmesh.sdk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Seals values by AES-256-GCM, end to end between clients and workers: see docs/sealed-values.md.
 * The first key seals, all of them open.
 */
public final class SealingCodec implements Codec {
  private static final String SEALED = "$sealed";
  private static final byte[] LABEL = "flowmesh sealed nonce".getBytes(StandardCharsets.UTF_8);
  private static final Pattern KEY_ID = Pattern.compile("[A-Za-z0-9_.-]{1,64}");
  private static final int KEY_BYTES = 32;
  private static final int NONCE_BYTES = 12;
  private static final int TAG_BITS = 128;
  private static final ObjectMapper MAPPER = JacksonCodec.mapper();

  private final Codec inner = new JacksonCodec();
  private final Map<String, Key> keys = new LinkedHashMap<>();
  private final Key first;
  private final Set<String> only;

  /**
   * A codec with the keys of a text.
   *
   * @param text a line per key: its id, and the base64 of its 32 bytes
   * @param only names of the members that are sealed, at any depth; without names, whole values are
   */
  public SealingCodec(String text, String... only) {
    this.only = Set.of(only);
    String[] lines = text.split("\n");
    for (int at = 0; at < lines.length; at++) {
      if (!lines[at].isBlank()) {
        Key key = Key.of(lines[at].strip().split("\\s+"));
        if (key == null || keys.put(key.id, key) != null) {
          throw invalid(
              "SEALING_KEY_INVALID",
              "line %d of the keys is not a new key id and base64 of %d bytes",
              at + 1,
              KEY_BYTES);
        }
      }
    }
    if (keys.isEmpty()) {
      throw invalid("SEALING_KEY_INVALID", "there is no key to seal with");
    }
    first = keys.values().iterator().next();
  }

  /**
   * Reads a file of keys.
   *
   * @param path the file
   * @param only as for the constructor
   * @return the codec
   * @throws IOException if the file cannot be read
   */
  public static SealingCodec read(Path path, String... only) throws IOException {
    return new SealingCodec(Files.readString(path), only);
  }

  @Override
  public byte[] encode(Object value) {
    byte[] data = inner.encode(value);
    if (only.isEmpty()) {
      return bytes(first.seal(data));
    }
    return bytes(sealed("", tree(data)));
  }

  @Override
  public <T> T decode(byte[] data, Class<T> type) {
    boolean marked = new String(data, StandardCharsets.UTF_8).contains('"' + SEALED + '"');
    return inner.decode(marked ? bytes(opened(tree(data))) : data, type);
  }

  private JsonNode sealed(String name, JsonNode value) {
    if (only.contains(name) && parts(value) == null) {
      return first.seal(bytes(value));
    }
    if (value instanceof ArrayNode items) {
      for (int at = 0; at < items.size(); at++) {
        items.set(at, sealed("", items.get(at)));
      }
    } else if (value instanceof ObjectNode members) {
      members.properties().forEach(each -> each.setValue(sealed(each.getKey(), each.getValue())));
    }
    return value;
  }

  private JsonNode opened(JsonNode value) {
    JsonNode parts = parts(value);
    if (parts != null) {
      Key key = keys.get(parts.get("kid").textValue());
      if (key == null) {
        throw invalid(
            "SEALED_UNREADABLE",
            "the value is sealed by the key %s, which is not among the keys here",
            parts.get("kid"));
      }
      // A sealed value may hold sealed members.
      return opened(tree(key.open(parts.get("data").textValue())));
    }
    if (value instanceof ArrayNode items) {
      for (int at = 0; at < items.size(); at++) {
        items.set(at, opened(items.get(at)));
      }
    } else if (value instanceof ObjectNode members) {
      members.properties().forEach(each -> each.setValue(opened(each.getValue())));
    }
    return value;
  }

  /** Returns the parts of a sealed value; null for another value. */
  private static JsonNode parts(JsonNode value) {
    JsonNode found = value.isObject() && value.size() == 1 ? value.get(SEALED) : null;
    boolean complete =
        found != null && found.path("kid").isTextual() && found.path("data").isTextual();
    return complete ? found : null;
  }

  private static JsonNode tree(byte[] data) {
    try {
      return MAPPER.readTree(data);
    } catch (IOException wrong) {
      throw invalid("JSON_INVALID", "the value is not JSON");
    }
  }

  private static byte[] bytes(JsonNode value) {
    try {
      return MAPPER.writeValueAsBytes(value);
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private static FlowmeshException invalid(String reason, String text, Object... parts) {
    return new FlowmeshException(Kind.INVALID, reason, String.format(text, parts));
  }

  /** One key, and the key of its nonces. */
  private record Key(String id, SecretKeySpec key, SecretKeySpec nonces) {
    static Key of(String[] words) {
      if (words.length != 2 || !KEY_ID.matcher(words[0]).matches()) {
        return null;
      }
      try {
        byte[] key = Base64.getDecoder().decode(words[1]);
        byte[] nonces = digest(new SecretKeySpec(key, "HmacSHA256"), LABEL);
        return key.length == KEY_BYTES
            ? new Key(
                words[0], new SecretKeySpec(key, "AES"), new SecretKeySpec(nonces, "HmacSHA256"))
            : null;
      } catch (IllegalArgumentException wrong) {
        return null;
      }
    }

    JsonNode seal(byte[] data) {
      byte[] sealed = Arrays.copyOf(digest(nonces, data), NONCE_BYTES);
      try {
        byte[] text = cipher(Cipher.ENCRYPT_MODE, sealed).doFinal(data);
        sealed = Arrays.copyOf(sealed, NONCE_BYTES + text.length);
        System.arraycopy(text, 0, sealed, NONCE_BYTES, text.length);
      } catch (GeneralSecurityException impossible) {
        throw new IllegalStateException(impossible);
      }
      ObjectNode parts = JsonNodeFactory.instance.objectNode();
      parts.set("kid", new TextNode(id));
      parts.set("data", new TextNode(Base64.getEncoder().encodeToString(sealed)));
      return JsonNodeFactory.instance.objectNode().set(SEALED, parts);
    }

    byte[] open(String text) {
      try {
        byte[] data = Base64.getDecoder().decode(text);
        Cipher cipher = cipher(Cipher.DECRYPT_MODE, Arrays.copyOf(data, NONCE_BYTES));
        return cipher.doFinal(data, NONCE_BYTES, data.length - NONCE_BYTES);
      } catch (GeneralSecurityException | IllegalArgumentException wrong) {
        throw invalid(
            "SEALED_UNREADABLE",
            "the value sealed by the key \"%s\" was changed, or the key is another",
            id);
      }
    }

    private Cipher cipher(int mode, byte[] nonce) throws GeneralSecurityException {
      Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
      cipher.init(mode, key, new GCMParameterSpec(TAG_BITS, nonce));
      cipher.updateAAD(id.getBytes(StandardCharsets.UTF_8));
      return cipher;
    }

    private static byte[] digest(SecretKeySpec key, byte[] data) {
      try {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(key);
        return mac.doFinal(data);
      } catch (GeneralSecurityException impossible) {
        throw new IllegalStateException(impossible);
      }
    }
  }
}
