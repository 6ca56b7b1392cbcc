import "../../../messages/pages";
import { Link } from "@tanstack/react-router";
import type { ServiceValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Time } from "@/design/primitives";
import { Status } from "@/design/status";
import type { Column } from "@/design/table";
import { say } from "@/model/messages";

/** Instances of services in the registry with their health. */
export function ServicesPage() {
  useTopics(["services"]);
  const query = useTopic("services");
  const services = query.data?.services ?? [];
  return (
    <Page
      title={say("services.title")}
      actions={
        <Link to="/visualization/topology" className="muted">
          {say("services.topology")}
        </Link>
      }
    >
      <Listing
        query={query}
        expected={8}
        none={say("services.none")}
        noneHint={say("services.noneHint")}
        title={say("services.count", { count: services.length })}
        columns={COLUMNS}
        rows={services}
        keyOf={(each) => each.id}
      />
    </Page>
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
