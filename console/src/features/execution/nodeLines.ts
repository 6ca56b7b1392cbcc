/** Lines of a node in the graph: its duration and attempts, and the share of a map. */

import { useMemo } from "react";
import type { StateAnswer } from "@/api/schema";
import { useNow } from "@/design/useNow";
import { duration } from "@/model/durations";
import type { History } from "@/model/history";
import { lookOf } from "@/model/status";
import { useExecution } from "./data";

/** Duration and attempts of a node in a line. */
export function useDetails(): (id: string) => string {
  const { history, at, statusOf, execution, graph, progress } = useExecution();
  const running = at === undefined && execution?.status === "running";
  const now = useNow(running);
  return useMemo(
    () => (id: string) => {
      const track = history.nodes.get(id);
      const change = history.changeOf(id, at);
      const status = statusOf(id);
      if (!track || !change || status === "pending") {
        return graph?.nodes[graph.index.get(id) ?? -1]?.type ?? "";
      }
      if (status === "skipped") return lookOf(status).word;
      const begun = track.changes.find((each) => each.attempt > 0)?.at ?? change.at;
      const ended = status === "success" || status === "failed" || status === "canceled";
      const to = ended ? change.at : (history.eventAt(at)?.timestamp ?? "");
      const end = typeof to === "number" ? to : at === undefined ? now : Date.parse(to);
      const attempts = change.attempt > 1 ? ` · attempt ${change.attempt}` : "";
      const word = ended ? "" : `${lookOf(status).word} · `;
      const map = ended || status === "running" ? itemsAt(progress, history, id, at) : undefined;
      const items = map ? ` · ${map.ended} of ${map.total} items` : "";
      const undo = history.changeOf(`${id}:undo`, at)?.status;
      const undone = undo === "success" ? "compensated" : undo && "compensating";
      const undoing = undone ? ` · ${lookOf(undone).word.toLowerCase()}` : "";
      return `${word}${duration(end - begun)}${attempts}${items}${undoing}`;
    },
    [history, at, statusOf, now, graph, progress],
  );
}

export function useShares(): (id: string) => number | undefined {
  const { progress, history, at } = useExecution();
  return useMemo(
    () => (id: string) => {
      const map = itemsAt(progress, history, id, at);
      return map && map.total > 0 ? map.ended / map.total : undefined;
    },
    [progress, history, at],
  );
}

/** The items of a map that have ended at the moment: now as the server counts them. */
function itemsAt(
  progress: StateAnswer | undefined,
  history: History,
  id: string,
  at: number | undefined,
): { ended: number; total: number } | undefined {
  const map = progress?.maps[id];
  if (!map) return undefined;
  const ended = at === undefined ? map.completed + map.failed : history.itemsEnded(id, at);
  return { ended, total: map.total };
}
