/** The orders of the list of workflows. */

const ORDERS = ["name", "runs", "failures", "slowest", "changed"] as const;

export type WorkflowOrder = (typeof ORDERS)[number];

/** The order that a text names, if it is one other than by name. */
export function orderOf(text: unknown): WorkflowOrder | undefined {
  return ORDERS.find((each) => each === text && each !== "name");
}
