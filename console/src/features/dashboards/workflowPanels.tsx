import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { Bottlenecks } from "@/api/schema";
import { RunGrid } from "@/canvas/runGrid";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Share, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import styles from "./page.module.css";

const EXECUTIONS = 30;

/** What a workflow spends its time on, and its last executions by its tasks. */
export function WorkflowPanels({ workflow }: { workflow: string }) {
  const path = { name: workflow };
  const bottlenecks = useQuery({
    queryKey: ["dashboards", "bottlenecks", workflow],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/bottlenecks", { path, signal }),
  });
  const grid = useQuery({
    queryKey: ["dashboards", "grid", workflow],
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/grid", { path, query: { executions: EXECUTIONS }, signal }),
  });
  return (
    <>
      {bottlenecks.isPending && <Skeleton rows={4} />}
      {bottlenecks.isError && (
        <Problem error={bottlenecks.error} retry={() => void bottlenecks.refetch()} />
      )}
      {bottlenecks.data && <Costs report={bottlenecks.data} />}
      <section aria-label="Last executions by task" className={styles.grid}>
        <header>
          <h2>Last executions by task</h2>
          <Link to="/visualization/grid" search={{ workflow }}>
            Larger
          </Link>
        </header>
        {grid.isPending && <Skeleton rows={6} />}
        {grid.isError && <Problem error={grid.error} retry={() => void grid.refetch()} />}
        {grid.data && <RunGrid grid={grid.data} />}
      </section>
    </>
  );
}

const HEADS = [
  "Task",
  "Share of the critical path",
  "p50",
  "p95",
  "Wait p95",
  "Retries",
  "Cause",
] as const;

function Costs({ report }: { report: Bottlenecks }) {
  if (report.nodes.length === 0) {
    return (
      <Empty title="No bottlenecks yet">
        <p>They are found in completed executions of this workflow.</p>
      </Empty>
    );
  }
  return (
    <Table
      title="Bottlenecks, costliest first"
      beside={
        <span className="muted numbers">
          of the last {count(report.executions)} executions, p95 {duration(report.duration.p95Ms)}
        </span>
      }
      heads={HEADS}
    >
      {report.nodes.map((each) => (
        <tr key={each.id}>
          <td>
            <bdi>{each.id}</bdi>
          </td>
          <td>
            <Share
              part={each.share}
              whole={1}
              label={`Share of ${each.id} in the critical path`}
              text={`${(100 * each.share).toFixed(0)} %`}
            />
          </td>
          <td className="numbers">{duration(each.run.p50Ms)}</td>
          <td className="numbers">{duration(each.run.p95Ms)}</td>
          <td className="numbers">{duration(each.wait.p95Ms)}</td>
          <td className="numbers">{count(each.retries)}</td>
          <td className="muted">{each.text}</td>
        </tr>
      ))}
    </Table>
  );
}
