/** The choices of a rerun, and the plan that the server makes of them without starting anything. */

import { keepPreviousData, type UseQueryResult, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import type { ExecutionAnswer, Rerun } from "@/api/schema";

export type Mode = "all" | "failed" | "nodes";

export interface Choices {
  mode: Mode;
  setMode: (mode: Mode) => void;
  nodes: readonly string[];
  toggle: (node: string) => void;
  newest: boolean;
  setNewest: (newest: boolean) => void;
}

/** The members of the body that decide what runs again. */
export function scopeOf({ mode, nodes, newest }: Pick<Choices, "mode" | "nodes" | "newest">) {
  return {
    fromFailed: mode === "failed",
    fromNodes: mode === "nodes" ? [...nodes] : [],
    newestVersion: newest,
  };
}

export function useChoices(execution: ExecutionAnswer, from: string | undefined): Choices {
  const given = from?.split(" ").filter(Boolean) ?? [];
  const [mode, setMode] = useState<Mode>(() => {
    if (given.length > 0) return "nodes";
    return execution.status === "failed" ? "failed" : "all";
  });
  const [nodes, setNodes] = useState<readonly string[]>(given);
  const [newest, setNewest] = useState(false);
  const toggle = (node: string) => {
    setMode("nodes");
    setNodes(nodes.includes(node) ? nodes.filter((each) => each !== node) : [...nodes, node]);
  };
  return { mode, setMode, nodes, toggle, newest, setNewest };
}

export function usePlan(executionId: string, choices: Choices): UseQueryResult<Rerun> {
  const scope = scopeOf(choices);
  return useQuery({
    queryKey: ["rerun", executionId, scope],
    queryFn: () =>
      write("POST /api/v1/executions/{executionId}:rerun", {
        path: { executionId },
        body: { ...scope, dryRun: true },
      }),
    enabled: choices.mode !== "nodes" || choices.nodes.length > 0,
    placeholderData: keepPreviousData,
  });
}
