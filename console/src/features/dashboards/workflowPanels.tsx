import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { Bottlenecks } from "@/api/schema";
import { RunGrid } from "@/canvas/runGrid";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Share, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
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
      <section aria-label={say("dashboards.byTask")} className={styles.grid}>
        <header>
          <h2>{say("dashboards.byTask")}</h2>
          <Link to="/visualization/grid" search={{ workflow }}>
            {say("dashboards.larger")}
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
  say("dashboards.task"),
  say("dashboards.share"),
  "p50",
  "p95",
  say("dashboards.waitP95"),
  say("dashboards.retries"),
  say("dashboards.cause"),
] as const;

function Costs({ report }: { report: Bottlenecks }) {
  if (report.nodes.length === 0) {
    return (
      <Empty title={say("dashboards.noBottlenecks")}>
        <p>{say("dashboards.noBottlenecksHint")}</p>
      </Empty>
    );
  }
  return (
    <Table
      title={say("dashboards.bottlenecks")}
      beside={
        <span className="muted numbers">
          {say("dashboards.ofLast", {
            count: report.executions,
            duration: duration(report.duration.p95Ms),
          })}
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
              label={say("dashboards.shareOf", { task: each.id })}
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
