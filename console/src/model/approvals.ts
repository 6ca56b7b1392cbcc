import type { PendingApproval } from "@/api/schema";

/** The title that the workflow gave, else the name of the task. */
export function titleOf({ approval, name, task }: PendingApproval): string {
  const details = approval.details as { title?: unknown } | null;
  return typeof details?.title === "string" && details.title ? details.title : name || task;
}
