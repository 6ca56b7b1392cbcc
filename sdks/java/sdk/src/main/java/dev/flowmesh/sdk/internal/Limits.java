package dev.flowmesh.sdk.internal;

import java.time.Duration;

/** Limits and default times of the SDK. */
public final class Limits {
  /** The largest value inside a message. */
  public static final int INLINE_BYTES = 256 * 1024;

  /** The largest value that is passed by reference. */
  public static final int STORED_BYTES = 64 * 1024 * 1024;

  static final int CHUNK_BYTES = 512 * 1024;
  // Descriptions of large executions exceed the default of gRPC.
  static final int MESSAGE_BYTES = 64 * 1024 * 1024;

  // A server accepts 100 calls per connection; further ones are opened before that.
  static final int CONNECTION_CALLS = 80;
  static final int CONNECTIONS = 32;

  /** The bound of one try of a call. */
  public static final Duration CALL = Duration.ofSeconds(10);

  static final Duration CONNECT = Duration.ofSeconds(5);

  /** The bound of a call with all its retries. */
  public static final Duration RETRIES = Duration.ofSeconds(30);

  static final Duration RETRY_MIN = Duration.ofMillis(100);
  static final Duration RETRY_MAX = Duration.ofSeconds(2);
  // The budget of retries that all calls of a client share.
  static final double RETRY_TOKENS = 10;
  static final double RETRY_TOKENS_PER_SUCCESS = 0.1;
  static final Duration UNREACHABLE_RETRY = Duration.ofMillis(500);

  /** The bytes and items of one message of a stream. */
  public static final int FRAME_BYTES = 1024 * 1024;

  /** The most items of one message of a stream. */
  public static final int FRAME_ITEMS = 1000;

  private Limits() {}
}
