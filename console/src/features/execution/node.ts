/** A node with its input and output. */

import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import { useExecution } from "./data";

/** A node with its values, read again after each of its changes once it has begun. */
export function useNode(node: string) {
  const { executionId, history } = useExecution();
  const newest = history.nodes.get(node)?.changes.at(-1);
  return useQuery({
    queryKey: ["execution", executionId, "node", node, newest?.sequence ?? 0],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/nodes/{node}", {
        path: { executionId, node },
        signal,
      }),
    enabled: newest !== undefined && newest.status !== "skipped",
    placeholderData: (before) => before,
  });
}
