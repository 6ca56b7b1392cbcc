package dev.flowmesh.sdk.mesh;

import java.util.List;

/**
 * A selection of instances; empty parts select all.
 *
 * @param name of the service
 * @param type of the service
 * @param capabilities an instance needs them all
 * @param statuses such as {@code HEALTHY}
 */
public record Filter(String name, String type, List<String> capabilities, List<String> statuses) {
  /**
   * Selects the instances of a service.
   *
   * @param name of the service
   * @return in any status
   */
  public static Filter of(String name) {
    return new Filter(name, "", List.of(), List.of());
  }

  /**
   * Returns whether an instance is selected, apart from name and type.
   *
   * @param service the instance
   * @return whether it has the status and all capabilities
   */
  boolean selects(Service service) {
    return (statuses.isEmpty() || statuses.contains(service.status()))
        && service.capabilities().containsAll(capabilities);
  }
}
