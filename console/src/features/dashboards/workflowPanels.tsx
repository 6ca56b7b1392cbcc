import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { Bottlenecks } from "@/api/schema";
import { RunGrid } from "@/canvas/runGrid";
import { Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { type Column, Share, Table } from "@/design/table";
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
      <Loading query={bottlenecks} rows={4} />
      {bottlenecks.data && <Costs report={bottlenecks.data} />}
      <section aria-label={say("dashboards.byTask")} className={styles.grid}>
        <header>
          <h2>{say("dashboards.byTask")}</h2>
          <Link to="/visualization/grid" search={{ workflow }}>
            {say("dashboards.larger")}
          </Link>
        </header>
        <Loading query={grid} rows={6} />
        {grid.data && <RunGrid grid={grid.data} />}
      </section>
    </>
  );
}

const COLUMNS: readonly Column<Bottlenecks["nodes"][number]>[] = [
  { head: say("dashboards.task"), as: "text", cell: (each) => each.id },
  {
    head: say("dashboards.share"),
    cell: ({ id, share }) => (
      <Share
        part={share}
        whole={1}
        label={say("dashboards.shareOf", { task: id })}
        text={`${(100 * share).toFixed(0)} %`}
      />
    ),
  },
  { head: "p50", as: "numbers", cell: (each) => duration(each.run.p50Ms) },
  { head: "p95", as: "numbers", cell: (each) => duration(each.run.p95Ms) },
  { head: say("dashboards.waitP95"), as: "numbers", cell: (each) => duration(each.wait.p95Ms) },
  { head: say("dashboards.retries"), as: "numbers", cell: (each) => count(each.retries) },
  { head: say("dashboards.cause"), as: "muted", cell: (each) => each.text },
];

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
      columns={COLUMNS}
      rows={report.nodes}
      keyOf={(each) => each.id}
    />
  );
}
