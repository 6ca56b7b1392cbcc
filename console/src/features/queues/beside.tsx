/** What stands beside the queues: circuit breakers, and the changes of limits. */

import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { BreakerValue, LimitChangeValue } from "@/api/schema";
import { Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";

const CHANGES_SHOWN = 20;
const BREAKERS: readonly Column<BreakerValue>[] = [
  { head: say("queues.upstream"), as: "text", cell: (each) => each.upstream },
  { head: say("queues.state"), cell: (each) => each.state.replace("_", " ") },
  { head: say("queues.trial"), as: "numbers", cell: (each) => duration(each.retryAfterMs) },
  {
    head: say("queues.failedCalls"),
    as: "numbers",
    cell: ({ failures, calls }) => say("queues.ofCalls", { failures, calls }),
  },
  { head: say("queues.workerService"), as: "code", cell: (each) => each.workerService },
];
const CHANGES: readonly Column<LimitChangeValue>[] = [
  { head: say("queues.time"), as: "muted", cell: (each) => <Time at={each.at} /> },
  { head: say("queues.change"), cell: (each) => each.action },
  { head: say("queues.of"), as: "text", cell: (each) => each.subject || say("queues.namespace") },
  { head: say("queues.by"), as: "text", cell: (each) => each.actor || "–" },
  { head: say("queues.reason"), as: "text", cell: (each) => each.reason || "–" },
];

export function Breakers() {
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["breakers"],
    queryFn: ({ signal }) => read("/api/v1/breakers", { signal }),
  });
  if (isError) return <Problem error={error} retry={() => void refetch()} />;
  if (!data || data.breakers.length === 0) return null;
  return (
    <Table
      title={say("queues.breakers")}
      columns={BREAKERS}
      rows={data.breakers}
      keyOf={(each) => `${each.upstream} ${each.workerService}`}
    />
  );
}

/** The last changes; read again with each version of the limits. */
export function Changes({ version }: { version: string }) {
  const { data, isError, error } = useQuery({
    queryKey: ["limit-changes", version],
    queryFn: ({ signal }) =>
      read("/api/v1/limits/changes", { query: { pageSize: CHANGES_SHOWN }, signal }),
    placeholderData: (before) => before,
    // A version may return, as when the only limit is deleted.
    staleTime: 0,
  });
  if (isError) return <Problem error={error} />;
  if (!data || data.changes.length === 0) return null;
  return (
    <Table
      title={say("queues.changes")}
      columns={CHANGES}
      rows={data.changes}
      keyOf={(each) => each.number}
    />
  );
}
