import { useEffect } from "react";
import { useHistory } from "@/api/history";
import { Status } from "@/design/status";
import type { NodeStatus } from "@/model/status";
import { useBuilder } from "./store";

/** A started execution: its statuses are drawn over the draft as its events come. */
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
  return (
    <p role="status">
      <Status status={history.executionStatus(undefined) ?? "pending"} />
    </p>
  );
}
