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
import { type Column, Table } from "@/design/table";
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
          <Table
            title={say("workflow.calledTable")}
            columns={COLUMNS}
            rows={found.called}
            keyOf={(each) => each.name}
          />
        </>
      )}
    </section>
  );
}

const COLUMNS: readonly Column<CalledService>[] = [
  { head: say("topology.service"), as: "text", cell: (each) => shownService(each.name) },
  { head: say("topology.kind"), as: "muted", cell: (each) => each.kind },
  { head: say("topology.tasks"), as: "text", cell: (each) => each.tasks.join(", ") },
  {
    head: say("services.health"),
    cell: ({ health }) => (health ? <Status status={health} /> : "–"),
  },
  {
    head: say("topology.rate"),
    as: "numbers",
    cell: ({ calls }) => (calls ? rate(calls.perMinute) : "–"),
  },
  { head: say("topology.errors"), as: "numbers", cell: ({ calls }) => calls?.errors ?? "–" },
  {
    head: say("topology.p95"),
    as: "numbers",
    cell: ({ calls }) => (calls ? duration(calls.p95Ms) : "–"),
  },
];
