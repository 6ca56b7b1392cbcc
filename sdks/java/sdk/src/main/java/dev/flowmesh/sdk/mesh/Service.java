package dev.flowmesh.sdk.mesh;

import java.util.List;
import java.util.Map;

/**
 * An instance of a service.
 *
 * @param name of the service
 * @param type any word; the default is {@code API}
 * @param endpoint {@code host:port} of gRPC, or a URL. Without a host the registry uses the address
 *     that sent the registration
 * @param capabilities for which it is selected
 * @param metadata any texts
 * @param version any text
 * @param id unique; empty for a random one
 * @param status set by the registry: HEALTHY, DEGRADED, UNHEALTHY or OFFLINE
 */
public record Service(
    String name,
    String type,
    String endpoint,
    List<String> capabilities,
    Map<String, String> metadata,
    String version,
    String id,
    String status) {
  /**
   * Returns an instance to register.
   *
   * @param name of the service
   * @param endpoint {@code host:port}, or a URL
   * @param capabilities for which it is selected
   * @return with the defaults
   */
  public static Service of(String name, String endpoint, String... capabilities) {
    return new Service(name, "API", endpoint, List.of(capabilities), Map.of(), "", "", "");
  }
}
