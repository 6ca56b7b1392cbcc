package dev.flowmesh.sdk.internal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;

/** A credential that is sent as {@code authorization: Bearer …} with every call. */
public final class Credential {
  private static final int BYTES_MAX = 4096;
  private static final Duration MARGIN = Duration.ofSeconds(60);
  private static final Duration RENEWAL_MIN = Duration.ofSeconds(5);
  private static final Duration REJECTED_MIN = Duration.ofSeconds(10);

  /** The name of the credential in errors. */
  final String source;

  private final Callable<String> renew;
  private String text;
  private Instant renewAt = Instant.MIN;
  private boolean renewedBefore;
  private long rejectedNs;

  private Credential(String source, String text, Callable<String> renew) {
    this.source = source;
    this.text = text;
    this.renew = renew;
  }

  /** Returns the credential of options, or else of the environment; null is none. */
  public static Credential chosen(
      String apiKey, String token, Callable<String> provider, boolean none) {
    int given = (apiKey.isEmpty() ? 0 : 1) + (token.isEmpty() ? 0 : 1) + (provider == null ? 0 : 1);
    if (given > 1) {
      throw Failures.of(
          Kind.INVALID, "CREDENTIAL_MALFORMED", "a client takes one credential, not %d", given);
    }
    if (!apiKey.isEmpty()) {
      return new Credential("the API key", checked(apiKey, "the API key"), null);
    }
    if (!token.isEmpty()) {
      return new Credential("the token", checked(token, "the token"), null);
    }
    if (provider != null || none) {
      return none ? null : new Credential("the token provider", "", provider);
    }
    for (String variable : List.of("FLOWMESH_TOKEN", "FLOWMESH_API_KEY")) {
      String found = Address.environment(variable);
      if (!found.isBlank()) {
        return new Credential(variable, checked(found, variable), null);
      }
    }
    return null;
  }

  private static String checked(String given, String source) {
    String text = given.strip();
    if (text.length() > BYTES_MAX) {
      throw Failures.of(
          Kind.INVALID,
          "CREDENTIAL_MALFORMED",
          "the credential of %s has more than %d bytes",
          source,
          BYTES_MAX);
    }
    if (text.isEmpty() || text.chars().anyMatch(unit -> unit < 0x21 || unit > 0x7e)) {
      throw Failures.of(
          Kind.INVALID,
          "CREDENTIAL_MALFORMED",
          "the credential of %s is empty or holds spaces or line breaks",
          source);
    }
    return text;
  }

  /** Returns the value of the header, after a renewal if one is due. */
  synchronized String header() {
    if (renew != null && !Instant.now().isBefore(renewAt)) {
      renew();
    }
    return "Bearer " + text;
  }

  /** Renews a token that a server refused; false if that cannot help. */
  synchronized boolean rejected(String used) {
    if (renew == null || !header().equals(used)) {
      return renew != null;
    }
    long nowNs = System.nanoTime(); // the clock of the machine may be set back
    if (renewedBefore && nowNs - rejectedNs < REJECTED_MIN.toNanos()) {
      return false;
    }
    renewedBefore = true;
    rejectedNs = nowNs;
    renew();
    return !header().equals(used);
  }

  private void renew() {
    String found;
    try {
      found = renew.call();
    } catch (InterruptedException interrupted) {
      throw Failures.interrupted();
    } catch (Exception failed) {
      throw new FlowmeshException(
          Kind.INTERNAL,
          "CREDENTIAL_MALFORMED",
          "the token provider failed: " + failed,
          List.of(),
          Duration.ZERO,
          failed);
    }
    text = checked(found == null ? "" : found, source);
    Instant earliest = Instant.now().plus(RENEWAL_MIN);
    Instant due = expiry(text).minus(MARGIN);
    renewAt = due.isBefore(earliest) ? earliest : due;
  }

  /** Reads {@code exp} of a JWT, unverified; far in the future if it has none. */
  private static Instant expiry(String token) {
    String[] parts = token.split("\\.");
    if (parts.length == 3) {
      try {
        JsonNode claims =
            new ObjectMapper().readTree(java.util.Base64.getUrlDecoder().decode(parts[1]));
        if (claims.path("exp").asLong() > 0) {
          return Instant.ofEpochSecond(claims.path("exp").asLong());
        }
      } catch (IOException | IllegalArgumentException opaque) {
        return Instant.now().plus(Duration.ofDays(36_500));
      }
    }
    return Instant.now().plus(Duration.ofDays(36_500));
  }
}
