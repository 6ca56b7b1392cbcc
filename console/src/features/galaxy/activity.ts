import { queryOptions } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { Activity } from "@/model/galaxy";

/** Executions of the last hour by workflow. */
export const activityQuery = queryOptions({
  queryKey: ["galaxy", "activity"],
  queryFn: async ({ signal }) => {
    const found = await read("/api/v1/executions:count", {
      query: { filter: 'started > "-1h"', groupBy: ["workflow", "status"] },
      signal,
    });
    const activity = new Map<string, Activity>();
    for (const { values, count } of found.groups) {
      const workflow = values.workflow ?? "";
      const known = activity.get(workflow) ?? { started: 0, completed: 0, failed: 0 };
      known.started += count;
      if (values.status === "completed") known.completed += count;
      if (values.status === "failed") known.failed += count;
      activity.set(workflow, known);
    }
    return activity as ReadonlyMap<string, Activity>;
  },
});
