/** The services that the tasks of one workflow call, with their health and real calls. */

import "../../../messages/operate";
import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { read } from "@/api/client";
import { useTopic, useTopics } from "@/api/topics";
import { TopologyPicture } from "@/canvas/topologyPicture";
import { Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { Table } from "@/design/table";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import { type CalledService, rate, shownService, topologyOfWorkflow } from "@/model/topology";
import styles from "./page.module.css";

const CALLS_MS = 5_000;

export function CalledServices({ name }: { name: string }) {
  useTopics(["services"]);
  const services = useTopic("services");
  const called = useQuery({
    queryKey: ["workflow", name, "topology"],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/topology", { path: { name }, signal }),
  });
  const calls = useQuery({
    queryKey: ["topology"],
    queryFn: ({ signal }) => read("/api/v1/topology", { signal }),
    // Calls between services make no events.
    refetchInterval: CALLS_MS,
  });
  const [chosen, setChosen] = useState<string>();
  const found = useMemo(
    () =>
      services.data &&
      called.data &&
      topologyOfWorkflow(called.data, services.data.services, calls.data),
    [services.data, called.data, calls.data],
  );
  const failed = [services, called, calls].find((each) => each.isError);
  return (
    <section aria-label={say("workflow.called")} className={styles.wide}>
      <h2>{say("workflow.called")}</h2>
      {failed && <Problem error={failed.error} retry={() => void failed.refetch()} />}
      {!found && !failed && <Skeleton rows={3} />}
      {found?.called.length === 0 && <p className="muted">{say("workflow.noCalled")}</p>}
      {found && found.called.length > 0 && (
        <>
          <TopologyPicture topology={found.topology} chosen={chosen} choose={setChosen} />
          <Table title={say("workflow.calledTable")} heads={HEADS}>
            {found.called.map((each) => (
              <Row key={each.name} service={each} />
            ))}
          </Table>
        </>
      )}
    </section>
  );
}

const HEADS = [
  say("topology.service"),
  say("topology.kind"),
  say("topology.tasks"),
  say("services.health"),
  say("topology.rate"),
  say("topology.errors"),
  say("topology.p95"),
] as const;

function Row({ service }: { service: CalledService }) {
  const { name, kind, tasks, health, calls } = service;
  return (
    <tr>
      <td>
        <bdi>{shownService(name)}</bdi>
      </td>
      <td className="muted">{kind}</td>
      <td>
        <bdi>{tasks.join(", ")}</bdi>
      </td>
      <td>{health ? <Status status={health} /> : "–"}</td>
      <td className="numbers">{calls ? rate(calls.perMinute) : "–"}</td>
      <td className="numbers">{calls ? calls.errors : "–"}</td>
      <td className="numbers">{calls ? duration(calls.p95Ms) : "–"}</td>
    </tr>
  );
}
