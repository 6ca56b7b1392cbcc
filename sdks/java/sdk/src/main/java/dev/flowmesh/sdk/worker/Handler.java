package dev.flowmesh.sdk.worker;

/**
 * The code of a task type.
 *
 * @param <I> the type of the input
 */
@FunctionalInterface
public interface Handler<I> {
  /**
   * Runs a task. Its thread is interrupted once the task is not wanted any more.
   *
   * @param input read from JSON
   * @param task its facts
   * @return the output, any value of JSON
   * @throws Exception a {@link TaskFailure} chooses the class on which retry policies decide; any
   *     other has the class of its simple name
   */
  Object run(I input, Task task) throws Exception;
}
