import "../../../messages/pages";
import { Link } from "@tanstack/react-router";
import type { ServiceValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { Status } from "@/design/status";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";

/** Instances of services in the registry with their health. */
export function ServicesPage() {
  useTopics(["services"]);
  const query = useTopic("services");
  const { data } = query;
  const services = data?.services ?? [];
  return (
    <>
      <PageHeader
        title={say("services.title")}
        actions={
          <Link to="/visualization/topology" className="muted">
            {say("services.topology")}
          </Link>
        }
      />
      <div className={frame.page}>
        <Loading query={query} rows={8} />
        {data && services.length === 0 && (
          <Empty title={say("services.none")}>
            <p>{say("services.noneHint")}</p>
          </Empty>
        )}
        {services.length > 0 && (
          <Table
            title={say("services.count", { count: services.length })}
            columns={COLUMNS}
            rows={services}
            keyOf={(each) => each.id}
          />
        )}
      </div>
    </>
  );
}

const HEALTH: Record<ServiceValue["status"], string> = {
  HEALTHY: "healthy",
  DEGRADED: "degraded",
  UNHEALTHY: "unhealthy",
  OFFLINE: "offline",
};

const COLUMNS: readonly Column<ServiceValue>[] = [
  {
    head: say("services.service"),
    cell: (each) => (
      <strong>
        <bdi>{each.name}</bdi>
      </strong>
    ),
  },
  { head: say("services.instance"), as: "id", cell: (each) => each.id },
  { head: say("services.health"), cell: (each) => <Status status={HEALTH[each.status]} /> },
  { head: say("services.address"), as: "id", cell: (each) => each.endpoint || "–" },
  { head: say("services.version"), as: "numbers", cell: (each) => each.version || "–" },
  { head: say("services.heartbeat"), as: "muted", cell: (each) => <Time at={each.heartbeatAt} /> },
  {
    head: say("services.capabilities"),
    as: "muted",
    title: (each) => each.capabilities.join("\n"),
    cell: (each) => (
      <bdi>{each.capabilities.map((name) => name.split(".").at(-1)).join(", ") || "–"}</bdi>
    ),
  },
];
