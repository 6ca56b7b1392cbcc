import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import { anyLate, lateAfter } from "@/model/late";

const USUAL_MS = 60_000;
/** No event tells that an execution has become late. */
const LATE_MS = 5_000;
/** One step for the seven days; it may begin within them, as steps are aligned. */
const STEP_S = 30 * 24 * 3_600;

export interface Late {
  workflow: string;
  count: number;
  /** The seconds after which they are late. */
  seconds: number;
}

/** Workflows with running executions that are late against the last seven days. */
export function useLate(): Late[] {
  const usual = useQuery({
    queryKey: ["usual"],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:series", {
        query: {
          filter: 'status = completed AND started > "-168h"',
          groupBy: ["workflow"],
          durations: true,
          stepS: STEP_S,
        },
        signal,
      }),
    staleTime: USUAL_MS,
    refetchInterval: USUAL_MS,
  });
  const running = useCounts("running", "status = running AND needs = null");
  const after = useMemo(() => lateAfter(usual.data?.points ?? []), [usual.data]);
  const filter = anyLate(
    running.data?.groups.map((each) => each.values.workflow ?? "") ?? [],
    after,
  );
  const late = useCounts("late", filter, LATE_MS);
  if (!filter) return [];
  return (late.data?.groups ?? []).map(({ values: { workflow = "" }, count }) => ({
    workflow,
    count,
    seconds: after.get(workflow) ?? 0,
  }));
}

function useCounts(name: string, filter: string | undefined, refetchInterval?: number) {
  return useQuery({
    queryKey: ["home", name, filter],
    enabled: !!filter,
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", { query: { filter, groupBy: ["workflow"] }, signal }),
    refetchInterval,
    placeholderData: (before) => before,
  });
}
