/** What stands beside the queues: circuit breakers, and the changes of limits. */

import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import { Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";

const CHANGES = 20;

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
      heads={[
        say("queues.upstream"),
        say("queues.state"),
        say("queues.trial"),
        say("queues.failedCalls"),
        say("queues.workerService"),
      ]}
    >
      {data.breakers.map((each) => (
        <tr key={`${each.upstream} ${each.workerService}`}>
          <td>
            <bdi>{each.upstream}</bdi>
          </td>
          <td>{each.state.replace("_", " ")}</td>
          <td className="numbers">{duration(each.retryAfterMs)}</td>
          <td className="numbers">
            {say("queues.ofCalls", { failures: each.failures, calls: each.calls })}
          </td>
          <td>
            <code>{each.workerService}</code>
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** The last changes; read again with each version of the limits. */
export function Changes({ version }: { version: string }) {
  const { data, isError, error } = useQuery({
    queryKey: ["limit-changes", version],
    queryFn: ({ signal }) =>
      read("/api/v1/limits/changes", { query: { pageSize: CHANGES }, signal }),
    placeholderData: (before) => before,
    // A version may return, as when the only limit is deleted.
    staleTime: 0,
  });
  if (isError) return <Problem error={error} />;
  if (!data || data.changes.length === 0) return null;
  return (
    <Table
      title={say("queues.changes")}
      heads={[
        say("queues.time"),
        say("queues.change"),
        say("queues.of"),
        say("queues.by"),
        say("queues.reason"),
      ]}
    >
      {data.changes.map((each) => (
        <tr key={each.number}>
          <td className="muted">
            <Time at={each.at} />
          </td>
          <td>{each.action}</td>
          <td>
            <bdi>{each.subject || say("queues.namespace")}</bdi>
          </td>
          <td>
            <bdi>{each.actor || "–"}</bdi>
          </td>
          <td>
            <bdi>{each.reason || "–"}</bdi>
          </td>
        </tr>
      ))}
    </Table>
  );
}
