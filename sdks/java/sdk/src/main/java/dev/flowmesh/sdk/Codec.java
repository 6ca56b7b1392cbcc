package dev.flowmesh.sdk;

/** The conversion between values of Java and JSON; {@link JacksonCodec} is the default. */
public interface Codec {
  /**
   * Writes a value as JSON.
   *
   * @param value any value, or null
   * @return JSON in UTF-8
   * @throws FlowmeshException with the reason {@code JSON_INVALID} for a value that is not JSON
   */
  byte[] encode(Object value);

  /**
   * Reads a JSON value.
   *
   * @param <T> the type
   * @param data JSON in UTF-8; no bytes stand for null
   * @param type its class
   * @return the value
   * @throws FlowmeshException with the reason {@code JSON_INVALID} if it does not fit the type
   */
  <T> T decode(byte[] data, Class<T> type);
}
