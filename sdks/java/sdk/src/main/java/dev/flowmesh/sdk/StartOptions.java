package dev.flowmesh.sdk;

import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * The options of a start; begin with {@link #NONE}.
 *
 * @param requestId makes the start idempotent: a repeated one returns the execution that the first
 *     has started; the default is a new random id
 * @param version of the workflow; 0 is the newest
 * @param versionLabel the label of a version, or empty
 * @param labels labels by which the execution is found
 * @param timeout the longest wait for the end; null is no limit
 * @param permissions permissions of the starter, which tasks may require
 */
public record StartOptions(
    String requestId,
    int version,
    String versionLabel,
    Map<String, String> labels,
    Duration timeout,
    List<String> permissions) {
  /** The defaults. */
  public static final StartOptions NONE =
      new StartOptions("", 0, "", Map.of(), null, List.of());

  /**
   * Sets the request id.
   *
   * @param id up to the caller
   * @return a copy
   */
  public StartOptions withRequestId(String id) {
    return new StartOptions(id, version, versionLabel, labels, timeout, permissions);
  }

  /**
   * Sets the version.
   *
   * @param number of the workflow
   * @return a copy
   */
  public StartOptions withVersion(int number) {
    return new StartOptions(requestId, number, versionLabel, labels, timeout, permissions);
  }

  /**
   * Sets the label of a version.
   *
   * @param label of the workflow
   * @return a copy
   */
  public StartOptions withVersionLabel(String label) {
    return new StartOptions(requestId, version, label, labels, timeout, permissions);
  }

  /**
   * Sets the labels.
   *
   * @param given of the execution
   * @return a copy
   */
  public StartOptions withLabels(Map<String, String> given) {
    return new StartOptions(requestId, version, versionLabel, given, timeout, permissions);
  }

  /**
   * Sets the longest wait: {@code run} gives up after it, {@code start} returns after it, with the
   * result if the execution has ended.
   *
   * @param limit not negative
   * @return a copy
   */
  public StartOptions withTimeout(Duration limit) {
    return new StartOptions(requestId, version, versionLabel, labels, limit, permissions);
  }

  /**
   * Sets the permissions of the starter.
   *
   * @param ids of permissions
   * @return a copy
   */
  public StartOptions withPermissions(List<String> ids) {
    return new StartOptions(requestId, version, versionLabel, labels, timeout, ids);
  }
}
