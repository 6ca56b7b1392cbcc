import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { read } from "@/api/client";
import { useTopic, useTopics } from "@/api/topics";
import { workflowMap } from "@/api/workflowMap";
import { PageHeader } from "@/app/pageHeader";
import { ViewStrip } from "@/canvas/viewStrip";
import frame from "@/design/page.module.css";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { duration, percent } from "@/model/durations";
import { say } from "@/model/messages";
import { teamOf } from "@/model/team";
import { type Calls, rate, shownService, type Topology, topologyOf } from "@/model/topology";
import { Crowd } from "./crowd";
import styles from "./page.module.css";

const CALLS_MS = 5_000;

/** Services of the suite, workflows, the services that their tasks call, and real calls. */
export function TopologyPage() {
  useTopics(["services"]);
  const services = useTopic("services");
  const map = useQuery(workflowMap);
  const calls = useQuery({
    queryKey: ["topology"],
    queryFn: ({ signal }) => read("/api/v1/topology", { signal }),
    // Calls between services make no events.
    refetchInterval: CALLS_MS,
  });
  const topology = useMemo(
    () =>
      services.data &&
      map.data &&
      topologyOf(services.data.services, map.data.workflows, calls.data),
    [services.data, map.data, calls.data],
  );
  const teams = useMemo(() => {
    const known = map.data?.workflows ?? [];
    return new Map(
      known.flatMap(({ workflow, labels }) => {
        const team = teamOf(labels);
        return team ? [[workflow, team]] : [];
      }),
    );
  }, [map.data]);
  return (
    <>
      <PageHeader title={say("topology.title")} />
      <ViewStrip />
      <div className={`${frame.page} ${styles.column}`}>
        {services.isError && (
          <Problem error={services.error} retry={() => void services.refetch()} />
        )}
        {map.isError && <Problem error={map.error} retry={() => void map.refetch()} />}
        {calls.isError && <Problem error={calls.error} retry={() => void calls.refetch()} />}
        {!topology && !services.isError && !map.isError && <Skeleton rows={10} />}
        {topology && topology.workflows.length === 0 && (
          <Empty title={say("topology.none")}>
            <p>{say("topology.noneHint")}</p>
          </Empty>
        )}
        {topology && (
          <>
            <Crowd topology={topology} teams={teams} />
            {calls.data && <CallTable calls={topology.calls} minutes={calls.data.minutes} />}
            <Connections topology={topology} />
          </>
        )}
      </div>
    </>
  );
}

const CALLS: readonly Column<Calls>[] = [
  { head: say("topology.caller"), as: "text", cell: (each) => each.source },
  { head: say("topology.called"), as: "text", cell: (each) => shownService(each.target) },
  { head: say("topology.rate"), as: "numbers", cell: (each) => rate(each.perMinute) },
  {
    head: say("topology.errors"),
    as: "numbers",
    cell: ({ errors, calls }) =>
      errors > 0
        ? say("topology.errorShare", { errors, share: percent(errors / calls) })
        : say("topology.noErrors"),
  },
  { head: say("topology.p50"), as: "numbers", cell: (each) => duration(each.p50Ms) },
  { head: say("topology.p95"), as: "numbers", cell: (each) => duration(each.p95Ms) },
  { head: say("topology.p99"), as: "numbers", cell: (each) => duration(each.p99Ms) },
  { head: say("topology.last"), as: "muted", cell: (each) => <Time at={each.lastAt} /> },
];

/** Real calls between services, with their rates, errors and durations. */
function CallTable({ calls, minutes }: { calls: readonly Calls[]; minutes: number }) {
  if (calls.length === 0) {
    return <p className="muted">{say("topology.quiet", { minutes })}</p>;
  }
  return (
    <Table
      title={say("topology.calls", { minutes })}
      columns={CALLS}
      rows={calls}
      keyOf={(each) => `${each.source} ${each.target}`}
    />
  );
}

const OUTSIDE: readonly Column<Topology["outside"][number]>[] = [
  { head: say("topology.service"), as: "text", cell: (each) => shownService(each.name) },
  { head: say("topology.kind"), as: "muted", cell: (each) => each.kind },
  { head: say("topology.callers"), cell: (each) => <Callers callers={each.callers} /> },
  { head: say("topology.tasks"), as: "numbers", cell: (each) => each.tasks },
];

/** The same as the picture, in words. */
function Connections({ topology }: { topology: Topology }) {
  if (topology.outside.length === 0) return null;
  return (
    <Table
      title={say("topology.services")}
      columns={OUTSIDE}
      rows={topology.outside}
      keyOf={(each) => each.name}
    />
  );
}

function Callers({ callers }: { callers: readonly string[] }) {
  return (
    <>
      {callers.slice(0, 4).map((caller, place) => (
        <span key={caller}>
          {place > 0 && ", "}
          <Link to="/dashboards" search={{ workflow: caller }}>
            <bdi>{caller}</bdi>
          </Link>
        </span>
      ))}
      {callers.length > 4 && <> {say("topology.moreCallers", { count: callers.length - 4 })}</>}
    </>
  );
}
