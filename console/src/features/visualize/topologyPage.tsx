import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { read } from "@/api/client";
import { useTopic, useTopics } from "@/api/topics";
import { workflowMap } from "@/api/workflowMap";
import { PageHeader } from "@/app/pageHeader";
import { TopologyPicture } from "@/canvas/topologyPicture";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
import { duration, percent } from "@/model/durations";
import { say } from "@/model/messages";
import { type Calls, rate, shownService, type Topology, topologyOf } from "@/model/topology";
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
  const [chosen, setChosen] = useState<string>();
  const topology = useMemo(
    () =>
      services.data &&
      map.data &&
      topologyOf(services.data.services, map.data.workflows, calls.data),
    [services.data, map.data, calls.data],
  );
  return (
    <>
      <PageHeader
        title={say("topology.title")}
        crumbs={<Link to="/visualization">{say("topology.visualize")}</Link>}
      />
      <div className={styles.page}>
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
            <TopologyPicture topology={topology} chosen={chosen} choose={setChosen} />
            {calls.data && <CallTable calls={topology.calls} minutes={calls.data.minutes} />}
            <Connections topology={topology} />
          </>
        )}
      </div>
    </>
  );
}

const CALL_HEADS = [
  say("topology.caller"),
  say("topology.called"),
  say("topology.rate"),
  say("topology.errors"),
  say("topology.p50"),
  say("topology.p95"),
  say("topology.p99"),
  say("topology.last"),
] as const;

/** Real calls between services, with their rates, errors and durations. */
function CallTable({ calls, minutes }: { calls: readonly Calls[]; minutes: number }) {
  if (calls.length === 0) {
    return <p className="muted">{say("topology.quiet", { minutes })}</p>;
  }
  return (
    <Table title={say("topology.calls", { minutes })} heads={CALL_HEADS}>
      {calls.map((each) => (
        <tr key={`${each.source} ${each.target}`}>
          <td>
            <bdi>{each.source}</bdi>
          </td>
          <td>
            <bdi>{shownService(each.target)}</bdi>
          </td>
          <td className="numbers">{rate(each.perMinute)}</td>
          <td className="numbers">
            {each.errors > 0
              ? say("topology.errorShare", {
                  errors: each.errors,
                  share: percent(each.errors / each.calls),
                })
              : say("topology.noErrors")}
          </td>
          <td className="numbers">{duration(each.p50Ms)}</td>
          <td className="numbers">{duration(each.p95Ms)}</td>
          <td className="numbers">{duration(each.p99Ms)}</td>
          <td className="muted">
            <Time at={each.lastAt} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

const HEADS = [
  say("topology.service"),
  say("topology.kind"),
  say("topology.callers"),
  say("topology.tasks"),
] as const;

/** The same as the picture, in words. */
function Connections({ topology }: { topology: Topology }) {
  if (topology.outside.length === 0) return null;
  return (
    <Table title={say("topology.services")} heads={HEADS}>
      {topology.outside.map((each) => (
        <tr key={each.name}>
          <td>
            <bdi>{shownService(each.name)}</bdi>
          </td>
          <td className="muted">{each.kind}</td>
          <td>
            {each.callers.slice(0, 4).map((caller, place) => (
              <span key={caller}>
                {place > 0 && ", "}
                <Link to="/dashboards" search={{ workflow: caller }}>
                  <bdi>{caller}</bdi>
                </Link>
              </span>
            ))}
            {each.callers.length > 4 && (
              <> {say("topology.moreCallers", { count: each.callers.length - 4 })}</>
            )}
          </td>
          <td className="numbers">{each.tasks}</td>
        </tr>
      ))}
    </Table>
  );
}
