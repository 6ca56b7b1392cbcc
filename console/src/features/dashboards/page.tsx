import "../../../messages/numbers";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { DashboardAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { Charts } from "./charts";
import styles from "./page.module.css";
import { WorkflowPanels } from "./workflowPanels";

const route = getRouteApi("/dashboards");
const DEFAULT_HOURS = 24;
const RANGES = [
  [1, say("dashboards.hour")],
  [6, say("dashboards.hours6")],
  [24, say("dashboards.day")],
  [168, say("dashboards.week")],
  [720, say("dashboards.month")],
] as const;
const REFRESH_MS = 5_000;

/** Rates, durations and failures over time, for the namespace or one workflow. */
export function DashboardsPage() {
  const { hours = DEFAULT_HOURS, workflow } = route.useSearch();
  const navigate = route.useNavigate();
  useFresh("dashboards", REFRESH_MS);
  const query = useQuery({
    queryKey: ["dashboards", "numbers", hours],
    queryFn: ({ signal }) => read("/api/v1/dashboard", { query: { hours }, signal }),
    placeholderData: (before) => before,
  });
  const { data } = query;
  return (
    <>
      <PageHeader
        title={workflow ? say("dashboards.of", { workflow }) : say("dashboards.title")}
        crumbs={workflow && <Link to="/dashboards">{say("dashboards.title")}</Link>}
        actions={
          <select
            className={frame.select}
            aria-label={say("dashboards.range")}
            value={hours}
            onChange={(event) =>
              void navigate({ search: { workflow, hours: Number(event.target.value) } })
            }
          >
            {RANGES.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        }
      />
      <div className={frame.page}>
        <Loading query={query} rows={8} />
        {data && !workflow && <Tiles numbers={data} />}
        <Charts hours={hours} workflow={workflow} />
        {workflow && <WorkflowPanels workflow={workflow} />}
        {data && !workflow && <Failures numbers={data} hours={hours} />}
        {data && !workflow && <Workflows numbers={data} hours={hours} />}
      </div>
    </>
  );
}

function Tiles({ numbers }: { numbers: DashboardAnswer }) {
  const { rates, active, resources } = numbers;
  const open = Object.values(active).reduce((sum, each) => sum + each, 0);
  const { queues, instances, process } = resources;
  const sick = Object.entries(instances).filter(([health]) => health !== "healthy");
  return (
    <dl className={styles.tiles}>
      <Tile name={say("dashboards.starts")} value={rates.startedPerMinute.toFixed(1)} />
      <Tile
        name={say("dashboards.success")}
        value={rates.success === undefined ? "–" : `${(100 * rates.success).toFixed(1)} %`}
        bad={rates.success !== undefined && rates.success < 0.9}
      />
      <Tile name={say("dashboards.active")} value={count(open)} />
      <Tile
        name={say("dashboards.waiting")}
        value={count(queues.waiting)}
        beside={
          queues.oldestMs
            ? say("dashboards.oldest", { duration: duration(queues.oldestMs) })
            : undefined
        }
      />
      <Tile
        name={say("dashboards.noWorker")}
        value={count(queues.withoutWorker)}
        bad={queues.withoutWorker > 0}
      />
      <Tile name={say("dashboards.running")} value={count(queues.running)} />
      <Tile
        name={say("dashboards.services")}
        value={say("dashboards.healthy", { count: instances.healthy ?? 0 })}
        beside={sick.map(([health, number]) => `${number} ${health}`).join(", ") || undefined}
        bad={sick.length > 0}
      />
      {process && (
        <Tile
          name={say("dashboards.memory")}
          value={`${count(Math.round(process.memoryBytes / 1_048_576))} MiB`}
          beside={say("dashboards.cpu", { duration: duration(process.cpuSeconds * 1_000) })}
        />
      )}
    </dl>
  );
}

function Tile(props: { name: string; value: string; beside?: string | undefined; bad?: boolean }) {
  return (
    <div className={styles.tile} data-family={props.bad ? "attention" : undefined}>
      <dt>{props.name}</dt>
      <dd>
        <strong className="numbers">{props.value}</strong>
        {props.beside && <small>{props.beside}</small>}
      </dd>
    </div>
  );
}

interface PartProps {
  numbers: DashboardAnswer;
  hours: number;
}

/** The range of the list of executions that has the same hours. */
function rangeOf(hours: number): string {
  return { 1: "1h", 24: "24h", 168: "7d", 720: "30d" }[hours] ?? "24h";
}

function Failures({ numbers, hours }: PartProps) {
  if (numbers.errors.length === 0) return null;
  const columns: readonly Column<DashboardAnswer["errors"][number]>[] = [
    { head: say("dashboards.workflow"), as: "text", cell: (each) => each.workflow },
    { head: say("dashboards.error"), as: "code", cell: (each) => each.errorClass || "–" },
    {
      head: say("dashboards.executions"),
      as: "numbers",
      cell: ({ workflow, errorClass, count: number }) => {
        const filter = `status = failed AND workflow = ${quoted(workflow)}`;
        const q = errorClass ? `${filter} AND error.class = ${quoted(errorClass)}` : filter;
        return (
          <Link to="/executions" search={{ q, range: rangeOf(hours) }}>
            {count(number)}
          </Link>
        );
      },
    },
  ];
  return (
    <Table
      title={say("dashboards.failures")}
      columns={columns}
      rows={numbers.errors}
      keyOf={(each) => `${each.workflow} ${each.errorClass}`}
    />
  );
}

function Workflows({ numbers, hours }: PartProps) {
  if (numbers.workflows.length === 0) {
    return (
      <Empty title={say("dashboards.none")}>
        <p>{say("dashboards.noneHint")}</p>
      </Empty>
    );
  }
  const slowest = numbers.workflows.toSorted((left, right) => right.p95Ms - left.p95Ms);
  const columns: readonly Column<DashboardAnswer["workflows"][number]>[] = [
    {
      head: say("dashboards.workflow"),
      cell: ({ workflow }) => (
        <Link to="/dashboards" search={{ workflow, hours }}>
          <bdi>{workflow}</bdi>
        </Link>
      ),
    },
    { head: say("dashboards.started"), as: "numbers", cell: (each) => count(each.started) },
    { head: say("dashboards.completed"), as: "numbers", cell: (each) => count(each.completed) },
    { head: say("dashboards.failed"), as: "numbers", cell: (each) => count(each.failed) },
    { head: "p50", as: "numbers", cell: (each) => duration(each.p50Ms) },
    { head: "p95", as: "numbers", cell: (each) => duration(each.p95Ms) },
    { head: "p99", as: "numbers", cell: (each) => duration(each.p99Ms) },
  ];
  return (
    <Table
      title={say("dashboards.slowest")}
      beside={<span className="muted">{say("dashboards.since")}</span>}
      columns={columns}
      rows={slowest}
      keyOf={(each) => each.workflow}
    />
  );
}
