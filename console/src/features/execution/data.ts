/** All data of the page of an execution, and the moment that every view of it shows. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useRef } from "react";
import { read } from "@/api/client";
import { type HistoryView, useHistory } from "@/api/history";
import { asProblem } from "@/api/problems";
import type { ExecutionAnswer, Explanation, StateAnswer } from "@/api/schema";
import { type Graph, graphOf } from "@/model/graph";
import { isOpen, type NodeStatus } from "@/model/status";

/** The state is read again at most this often while events arrive. */
const REFRESH_MS = 250;
/** A state that could not be read is asked for again after this time. */
const AGAIN_MS = 2_000;

export interface ExecutionData extends HistoryView {
  executionId: string;
  execution: ExecutionAnswer | undefined;
  progress: StateAnswer | undefined;
  graph: Graph | undefined;
  explanation: Explanation | undefined;
  error: unknown;
  retry: () => void;
  /** The moment as a sequence; `undefined` is now. */
  at: number | undefined;
  setAt: (at: number | undefined) => void;
  node: string | undefined;
  select: (node: string | undefined) => void;
  /** The status of the execution and of a node at the moment. */
  status: string;
  statusOf: (node: string) => NodeStatus;
}

const Context = createContext<ExecutionData | undefined>(undefined);
export const ExecutionProvider = Context.Provider;

/** The data of the page that this component is part of. */
export function useExecution(): ExecutionData {
  const data = useContext(Context);
  if (!data) throw new Error("not within the page of an execution");
  return data;
}

interface Choices {
  at: number | undefined;
  setAt: (at: number | undefined) => void;
  node: string | undefined;
  select: (node: string | undefined) => void;
}

export function useExecutionData(executionId: string, choices: Choices): ExecutionData {
  const path = { executionId };
  const execution = useQuery({
    queryKey: ["execution", executionId, "state"],
    queryFn: ({ signal }) => read("/api/v1/executions/{executionId}", { path, signal }),
    refetchInterval: (query) => againMs(query.state.error),
  });
  const progress = useQuery({
    queryKey: ["execution", executionId, "progress"],
    queryFn: async ({ signal }): Promise<StateAnswer> =>
      (await read("/api/v1/executions/{executionId}/state", { path, signal })) as StateAnswer,
    refetchInterval: (query) => againMs(query.state.error),
  });
  const explanation = useQuery({
    queryKey: ["execution", executionId, "explain"],
    queryFn: ({ signal }) => read("/api/v1/executions/{executionId}/explain", { path, signal }),
  });
  const followed = useHistory(executionId);
  useFreshState(executionId, followed);
  const analysis = progress.data?.graph;
  const graph = useMemo(() => analysis && graphOf(analysis), [analysis]);
  const { history, loaded } = followed;
  const live = choices.at === undefined;
  const folded = loaded ? history.executionStatus(choices.at) : undefined;
  const status = statusAt(folded, live ? execution.data : undefined);
  return {
    ...followed,
    ...choices,
    executionId,
    execution: execution.data,
    progress: progress.data,
    graph,
    explanation: explanation.data,
    error: execution.error ?? followed.problem,
    retry: () => {
      void execution.refetch();
      void progress.refetch();
      followed.again();
    },
    status,
    statusOf: (node) => history.statusOf(node, choices.at),
  };
}

function againMs(error: unknown): number | false {
  return error !== null && asProblem(error).temporary ? AGAIN_MS : false;
}

/** The fold is newer than the last read state, which knows what the fold does not. */
function statusAt(folded: string | undefined, read: ExecutionAnswer | undefined): string {
  if (!read) return folded ?? "pending";
  if (read.compensation === "compensated" && !isOpen(read.status)) return "compensated";
  return folded ?? read.status;
}

function useFreshState(executionId: string, { history, loaded, state }: HistoryView): void {
  const client = useQueryClient();
  const before = useRef(state);
  useEffect(() => {
    const resumed = before.current === "lost" && state !== "lost";
    before.current = state;
    if (resumed) void client.invalidateQueries({ queryKey: ["execution", executionId] });
  }, [client, executionId, state]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const first = useRef(true);
  const last = loaded ? history.lastSequence : 0;
  useEffect(() => {
    if (!last) return;
    if (first.current) {
      first.current = false;
      return;
    }
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void client.invalidateQueries({ queryKey: ["execution", executionId] });
    }, REFRESH_MS);
  }, [client, executionId, last]);
  useEffect(() => () => clearTimeout(timer.current), []);
}
