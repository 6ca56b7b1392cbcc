package dev.flowmesh.sdk.internal;

import java.util.Iterator;
import java.util.List;
import java.util.function.Function;

/**
 * The elements of a list that is read page by page.
 *
 * @param <E> the elements
 */
public final class Pages<E> implements Iterator<E> {
  private final Function<String, Page<E>> read;
  private Iterator<E> page = List.<E>of().iterator();
  private String token = "";
  private boolean done;

  /**
   * One page.
   *
   * @param <E> the elements
   */
  public record Page<E>(List<E> elements, String next) {}

  /** The elements of a function from a page token to a page. */
  public Pages(Function<String, Page<E>> read) {
    this.read = read;
  }

  @Override
  public boolean hasNext() {
    while (!page.hasNext() && !done) {
      Page<E> found = read.apply(token);
      page = found.elements().iterator();
      token = found.next();
      done = token.isEmpty();
    }
    return page.hasNext();
  }

  @Override
  public E next() {
    hasNext();
    return page.next();
  }
}
