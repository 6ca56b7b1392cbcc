package dev.flowmesh.sdk;

import java.time.Instant;
import java.util.List;

/**
 * The selection and order of executions; begin with {@link #ALL}.
 *
 * @param workflow a workflow, or empty
 * @param statuses empty for all
 * @param filter such as {@code workflow = "order" AND label.shop = "x"}, or empty
 * @param orderBy the default is {@code started desc}
 * @param from the earliest start, or null
 * @param to the latest start, or null
 * @param pageSize the number of executions per call, at most 1,000; 0 is the default
 */
public record ListOptions(
    String workflow,
    List<Status> statuses,
    String filter,
    String orderBy,
    Instant from,
    Instant to,
    int pageSize) {
  /** All executions, the newest first. */
  public static final ListOptions ALL = new ListOptions("", List.of(), "", "", null, null, 0);

  /**
   * Selects the executions of a workflow.
   *
   * @param id the workflow
   * @return a copy
   */
  public ListOptions withWorkflow(String id) {
    return new ListOptions(id, statuses, filter, orderBy, from, to, pageSize);
  }

  /**
   * Selects executions by their status.
   *
   * @param wanted statuses
   * @return a copy
   */
  public ListOptions withStatuses(Status... wanted) {
    return new ListOptions(workflow, List.of(wanted), filter, orderBy, from, to, pageSize);
  }

  /**
   * Selects executions by a filter.
   *
   * @param text the filter
   * @return a copy
   */
  public ListOptions withFilter(String text) {
    return new ListOptions(workflow, statuses, text, orderBy, from, to, pageSize);
  }

  /**
   * Sets the order.
   *
   * @param order such as {@code started asc}
   * @return a copy
   */
  public ListOptions withOrder(String order) {
    return new ListOptions(workflow, statuses, filter, order, from, to, pageSize);
  }

  /**
   * Selects executions by the time of their start.
   *
   * @param earliest or null
   * @param latest or null
   * @return a copy
   */
  public ListOptions withStart(Instant earliest, Instant latest) {
    return new ListOptions(workflow, statuses, filter, orderBy, earliest, latest, pageSize);
  }

  /**
   * Sets the number of executions per call.
   *
   * @param size at most 1,000
   * @return a copy
   */
  public ListOptions withPageSize(int size) {
    return new ListOptions(workflow, statuses, filter, orderBy, from, to, size);
  }
}
