package dev.flowmesh.sdk.internal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.flowmesh.sdk.FlowmeshException;
import dev.flowmesh.sdk.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The address of a server, with the files of TLS; null files stand for plain text. */
public record Address(String text, String target, Tls tls, boolean plaintextAllowed) {
  private static final String DEFAULT = "127.0.0.1:7450";
  private static final Pattern FORM =
      Pattern.compile("(?:(\\w+)://)?(\\[[0-9a-fA-F:.]+]|[\\w.-]+)(?::(\\d{1,5}))?/?");
  private static final Pattern LOCAL =
      Pattern.compile("(localhost\\.?|127(\\.\\d+){3}|\\[::1])(:\\d+)?");
  private static final Set<String> SECURE = Set.of("grpcs", "https");
  private static final Set<String> PLAIN = Set.of("grpc", "http");

  /** The files of TLS in PEM, each may be empty. */
  public record Tls(String authority, String certificate, String key) {}

  static String environment(String name) {
    String found = System.getenv(name);
    return found == null ? "" : found;
  }

  /** Returns the server of an address; an empty one stands for the environment or the default. */
  public static Address of(String given, Tls files, boolean plain) {
    String text = given.isEmpty() ? environment("FLOWMESH_ADDRESS") : given;
    Tls tls = files;
    if (text.isEmpty()) {
      Tls suite = runningSuite();
      text = suite == null ? DEFAULT : suite.certificate();
      if (suite != null && !suite.authority().isEmpty() && tls == null) {
        tls = new Tls(suite.authority(), "", "");
      }
    }
    Matcher form = FORM.matcher(text);
    if (!form.matches()) {
      String wanted = "expected host:port, without path, user or query";
      throw invalid("\"%s\" is not an address; %s", text, wanted);
    }
    String scheme = form.group(1) == null ? "" : form.group(1).toLowerCase(Locale.ROOT);
    boolean secure = SECURE.contains(scheme);
    if (!secure && !scheme.isEmpty() && !PLAIN.contains(scheme)) {
      throw invalid("the scheme %s:// is unknown; expected grpc:// or grpcs://", scheme);
    }
    if (form.group(3) == null && !secure) {
      throw invalid("\"%s\" has no port; expected host:port", text);
    }
    if (form.group(3) != null && Integer.parseInt(form.group(3)) > 65_535) {
      throw invalid("\"%s\" has no port of TCP; expected 1 to 65535", text);
    }
    if (secure && plain) {
      throw invalid("%s asks for TLS, and plaintext() is given", text);
    }
    if (!secure && !scheme.isEmpty() && tls != null) {
      throw invalid("%s is an address without TLS; use grpcs:// with the files of TLS", text);
    }
    if (tls == null && !plain) {
      tls = tlsOfEnvironment();
    }
    secure |= scheme.isEmpty() && tls != null && !plain;
    String target = form.group(2) + ":" + (form.group(3) == null ? "443" : form.group(3));
    String allow = environment("FLOWMESH_ALLOW_PLAINTEXT").toLowerCase(Locale.ROOT);
    boolean allowed = plain || Set.of("1", "true", "yes", "on").contains(allow);
    Tls used = tls == null ? new Tls("", "", "") : tls;
    return new Address(text, target, secure ? used : null, allowed);
  }

  /** Returns the address of another cell; calls that are encrypted stay so. */
  Address elsewhere(String cell) {
    String scheme = cell.contains("://") ? cell.substring(0, cell.indexOf("://")) : "";
    boolean secure = tls != null || SECURE.contains(scheme.toLowerCase(Locale.ROOT));
    Address there = of(cell, tls, !secure);
    return new Address(there.text, there.target, there.tls, plaintextAllowed);
  }

  static FlowmeshException invalid(String format, Object... parts) {
    return Failures.of(Kind.INVALID, "ENDPOINT_INVALID", format, parts);
  }

  private static Tls tlsOfEnvironment() {
    Tls found =
        new Tls(
            environment("FLOWMESH_CA"),
            environment("FLOWMESH_CLIENT_CERT"),
            environment("FLOWMESH_CLIENT_KEY"));
    return found.equals(new Tls("", "", "")) ? null : found;
  }

  /** Refuses to send a credential in plain text to another host. */
  public void check(Credential credential) {
    if (credential != null && tls == null && !plaintextAllowed && !local(target)) {
      throw Failures.of(
          Kind.INVALID,
          "PLAINTEXT_REFUSED",
          "%s would be sent to %s without TLS; use grpcs://, or allow it with plaintext() or"
              + " FLOWMESH_ALLOW_PLAINTEXT=true",
          credential.source,
          target);
    }
  }

  private static boolean local(String target) {
    return LOCAL.matcher(target.toLowerCase(Locale.ROOT)).matches();
  }

  /** Reads {@code .flowmesh/dev.json} of the working folder or a parent: authority and address. */
  private static Tls runningSuite() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve(".flowmesh").resolve("dev.json");
      try {
        String owner = Files.getOwner(file).getName();
        JsonNode suite = new ObjectMapper().readTree(file.toFile());
        String address = suite.path("grpc").asText();
        boolean runs = ProcessHandle.of(suite.path("pid").asLong()).isPresent();
        if (runs && owner.equals(System.getProperty("user.name")) && !address.contains("://")) {
          return new Tls(local(address) ? suite.path("ca").asText() : "", address, "");
        }
      } catch (IOException | RuntimeException absent) {
        continue; // the next folder may have one
      }
    }
    return null;
  }
}
