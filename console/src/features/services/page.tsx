import { Link } from "@tanstack/react-router";
import type { ServiceValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { Table } from "@/design/table";
import { plural } from "@/model/durations";
import styles from "./page.module.css";

/** Instances of services in the registry with their health. */
export function ServicesPage() {
  useTopics(["services"]);
  const { data, isPending, isError, error, refetch } = useTopic("services");
  const services = data?.services ?? [];
  return (
    <>
      <PageHeader
        title="Services"
        actions={
          <Link to="/visualization/topology" className="muted">
            Topology
          </Link>
        }
      />
      <div className={styles.page}>
        {isPending && <Skeleton rows={8} />}
        {isError && <Problem error={error} retry={() => void refetch()} />}
        {data && services.length === 0 && (
          <Empty title="No service is registered">
            <p>Services of Flowmesh register themselves; others do with the registry.</p>
          </Empty>
        )}
        {services.length > 0 && (
          <Table title={plural(services.length, "instance")} heads={HEADS}>
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
  "Service",
  "Instance",
  "Health",
  "Address",
  "Version",
  "Heartbeat",
  "Capabilities",
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
