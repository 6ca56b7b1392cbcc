package dev.flowmesh.sdk;

import dev.flowmesh.sdk.internal.Address;
import dev.flowmesh.sdk.internal.Caller;
import dev.flowmesh.sdk.internal.Credential;
import java.util.concurrent.Callable;

/** The options of a {@link FlowmeshClient}; the environment has their defaults. */
public final class ClientBuilder {
  private String address = "";
  private String namespace = "";
  private String actor = "";
  private String apiKey = "";
  private String token = "";
  private Callable<String> provider;
  private boolean anonymous;
  private boolean plain;
  private Address.Tls tls;
  private Codec codec = new JacksonCodec();

  ClientBuilder() {}

  /**
   * Sets the address.
   *
   * @param text {@code host:port}, or {@code grpcs://host:port} with TLS; an empty one stands for
   *     FLOWMESH_ADDRESS, a suite of {@code flowmesh dev} in this folder or a parent, or
   *     127.0.0.1:7450
   * @return this
   */
  public ClientBuilder address(String text) {
    address = text;
    return this;
  }

  /**
   * Sets the namespace.
   *
   * @param name the default is FLOWMESH_NAMESPACE or {@code default}
   * @return this
   */
  public ClientBuilder namespace(String name) {
    namespace = name;
    return this;
  }

  /**
   * Sets the identity that is recorded with changes.
   *
   * @param name the default is FLOWMESH_ACTOR
   * @return this
   */
  public ClientBuilder actor(String name) {
    actor = name;
    return this;
  }

  /**
   * Sets an API key.
   *
   * @param key the default is FLOWMESH_API_KEY
   * @return this
   */
  public ClientBuilder apiKey(String key) {
    apiKey = key;
    return this;
  }

  /**
   * Sets an access token.
   *
   * @param text the default is FLOWMESH_TOKEN
   * @return this
   */
  public ClientBuilder token(String text) {
    token = text;
    return this;
  }

  /**
   * Sets the provider of access tokens. It is called again shortly before the token expires, and
   * once if a server refuses it.
   *
   * @param source returns a token
   * @return this
   */
  public ClientBuilder tokenProvider(Callable<String> source) {
    provider = source;
    return this;
  }

  /**
   * Sends no credential, even if the environment has one.
   *
   * @return this
   */
  public ClientBuilder withoutCredential() {
    anonymous = true;
    return this;
  }

  /**
   * Uses TLS with files in PEM, which are read again within a minute after a change.
   *
   * @param authority of the server; empty for the public ones
   * @param certificate of this client, or empty
   * @param key of the certificate, or empty
   * @return this
   */
  public ClientBuilder tls(String authority, String certificate, String key) {
    tls = new Address.Tls(authority, certificate, key);
    return this;
  }

  /**
   * Uses plain text, and permits to send a credential in it.
   *
   * @return this
   */
  public ClientBuilder plaintext() {
    plain = true;
    return this;
  }

  /**
   * Sets the conversion of values.
   *
   * @param conversion the default is Jackson
   * @return this
   */
  public ClientBuilder codec(Codec conversion) {
    codec = conversion;
    return this;
  }

  /**
   * Returns the client, which connects at its first call.
   *
   * @return the client
   */
  public FlowmeshClient build() {
    Address at = Address.of(address, tls, plain);
    Credential credential = Credential.chosen(apiKey, token, provider, anonymous);
    at.check(credential);
    // The server takes the only namespace of a credential.
    String last = credential == null ? "default" : "";
    String space = first(namespace, System.getenv("FLOWMESH_NAMESPACE"), last);
    String by = first(actor, System.getenv("FLOWMESH_ACTOR"), "");
    return new FlowmeshClient(new Caller(at, credential, space, by, codec));
  }

  private static String first(String given, String environment, String last) {
    return !given.isEmpty() ? given : environment == null ? last : environment;
  }
}
