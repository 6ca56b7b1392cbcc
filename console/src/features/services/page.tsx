import "../../../messages/pages";
import { Link } from "@tanstack/react-router";
import type { ServiceValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { Table } from "@/design/table";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Instances of services in the registry with their health. */
export function ServicesPage() {
  useTopics(["services"]);
  const { data, isPending, isError, error, refetch } = useTopic("services");
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
      <div className={styles.page}>
        {isPending && <Skeleton rows={8} />}
        {isError && <Problem error={error} retry={() => void refetch()} />}
        {data && services.length === 0 && (
          <Empty title={say("services.none")}>
            <p>{say("services.noneHint")}</p>
          </Empty>
        )}
        {services.length > 0 && (
          <Table title={say("services.count", { count: services.length })} heads={HEADS}>
            {services.map((each) => (
              <Row key={each.id} instance={each} />
            ))}
          </Table>
        )}
      </div>
    </>
  );
}

const HEADS = [
  say("services.service"),
  say("services.instance"),
  say("services.health"),
  say("services.address"),
  say("services.version"),
  say("services.heartbeat"),
  say("services.capabilities"),
] as const;
const HEALTH: Record<ServiceValue["status"], string> = {
  HEALTHY: "healthy",
  DEGRADED: "degraded",
  UNHEALTHY: "unhealthy",
  OFFLINE: "offline",
};

function Row({ instance }: { instance: ServiceValue }) {
  return (
    <tr>
      <td>
        <strong>
          <bdi>{instance.name}</bdi>
        </strong>
      </td>
      <td>
        <code>
          <bdi>{instance.id}</bdi>
        </code>
      </td>
      <td>
        <Status status={HEALTH[instance.status]} />
      </td>
      <td>
        <code>
          <bdi>{instance.endpoint || "–"}</bdi>
        </code>
      </td>
      <td className="numbers">{instance.version || "–"}</td>
      <td className="muted">
        <Time at={instance.heartbeatAt} />
      </td>
      <td className="muted" title={instance.capabilities.join("\n")}>
        <bdi>{instance.capabilities.map((each) => each.split(".").at(-1)).join(", ") || "–"}</bdi>
      </td>
    </tr>
  );
}
