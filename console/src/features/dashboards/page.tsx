import "../../../messages/numbers";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { DashboardAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
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
  const { data, isPending, isError, error, refetch } = useQuery({
    queryKey: ["dashboards", "numbers", hours],
    queryFn: ({ signal }) => read("/api/v1/dashboard", { query: { hours }, signal }),
    placeholderData: (before) => before,
  });
  return (
    <>
      <PageHeader
        title={workflow ? say("dashboards.of", { workflow }) : say("dashboards.title")}
        crumbs={workflow && <Link to="/dashboards">{say("dashboards.title")}</Link>}
        actions={
          <select
            className={styles.range}
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
      <div className={styles.page}>
        {isPending && <Skeleton rows={8} />}
        {isError && <Problem error={error} retry={() => void refetch()} />}
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
  return (
    <Table
      title={say("dashboards.failures")}
      heads={[say("dashboards.workflow"), say("dashboards.error"), say("dashboards.executions")]}
    >
      {numbers.errors.map(({ workflow, errorClass, count: number }) => {
        const filter = `status = failed AND workflow = ${quoted(workflow)}`;
        const q = errorClass ? `${filter} AND error.class = ${quoted(errorClass)}` : filter;
        return (
          <tr key={`${workflow} ${errorClass}`}>
            <td>
              <bdi>{workflow}</bdi>
            </td>
            <td>
              <code>{errorClass || "–"}</code>
            </td>
            <td className="numbers">
              <Link to="/executions" search={{ q, range: rangeOf(hours) }}>
                {count(number)}
              </Link>
            </td>
          </tr>
        );
      })}
    </Table>
  );
}

const WORKFLOW_HEADS = [
  say("dashboards.workflow"),
  say("dashboards.started"),
  say("dashboards.completed"),
  say("dashboards.failed"),
  "p50",
  "p95",
  "p99",
] as const;

function Workflows({ numbers, hours }: PartProps) {
  if (numbers.workflows.length === 0) {
    return (
      <Empty title={say("dashboards.none")}>
        <p>{say("dashboards.noneHint")}</p>
      </Empty>
    );
  }
  const slowest = numbers.workflows.toSorted((left, right) => right.p95Ms - left.p95Ms);
  return (
    <Table
      title={say("dashboards.slowest")}
      beside={<span className="muted">{say("dashboards.since")}</span>}
      heads={WORKFLOW_HEADS}
    >
      {slowest.map((each) => (
        <tr key={each.workflow}>
          <td>
            <Link to="/dashboards" search={{ workflow: each.workflow, hours }}>
              <bdi>{each.workflow}</bdi>
            </Link>
          </td>
          <td className="numbers">{count(each.started)}</td>
          <td className="numbers">{count(each.completed)}</td>
          <td className="numbers">{count(each.failed)}</td>
          <td className="numbers">{duration(each.p50Ms)}</td>
          <td className="numbers">{duration(each.p95Ms)}</td>
          <td className="numbers">{duration(each.p99Ms)}</td>
        </tr>
      ))}
    </Table>
  );
}
