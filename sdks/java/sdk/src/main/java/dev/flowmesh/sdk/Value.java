package dev.flowmesh.sdk;

import java.nio.charset.StandardCharsets;

/**
 * A value of an execution. One above 256 KiB has a digest in place of its content, by which {@link
 * FlowmeshClient#fetch} reads it.
 *
 * @param codec the form of the content
 * @param data the content; empty stands for null
 * @param digest the digest of a stored value, or empty
 * @param size the number of bytes
 */
public record Value(Codec codec, byte[] data, String digest, long size) {
  /**
   * Reads an inline value.
   *
   * @param <T> the type
   * @param type its class
   * @return the value
   */
  public <T> T as(Class<T> type) {
    if (!digest.isEmpty()) {
      throw new FlowmeshException(
          Kind.INVALID, "REQUEST_INVALID", "the value is stored; FlowmeshClient.fetch reads it");
    }
    return codec.decode(data, type);
  }

  @Override
  public String toString() {
    return digest.isEmpty() ? new String(data, StandardCharsets.UTF_8) : "value " + digest;
  }
}
