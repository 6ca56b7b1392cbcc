import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { read } from "@/api/client";
import { useHistory } from "@/api/history";
import { Status } from "@/design/status";
import type { NodeStatus } from "@/model/status";
import { useBuilder } from "./store";

/** A started execution: statuses and outputs are drawn over the draft as its events come. */
export function LiveRun({ id }: { id: string }) {
  const { history, version } = useHistory(id);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version grows with the events
  useEffect(() => {
    const ids = useBuilder.getState().tasks.map((each) => each.id);
    const statuses = new Map<string, NodeStatus>(
      ids.map((each) => [each, history.statusOf(each, undefined)]),
    );
    useBuilder.setState({ statuses });
  }, [history, version]);
  const { data } = useQuery({
    queryKey: ["builder", "run", id, version],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}", { path: { executionId: id }, signal }),
    placeholderData: (before) => before,
  });
  useEffect(() => {
    const ended = Object.values(data?.tasks ?? {}).filter((each) => each.output !== undefined);
    useBuilder.setState({ outputs: new Map(ended.map((each) => [each.id, each.output])) });
  }, [data]);
  return (
    <p role="status">
      <Status status={history.executionStatus(undefined) ?? "pending"} />
    </p>
  );
}
