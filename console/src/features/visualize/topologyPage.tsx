import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useTopic, useTopics } from "@/api/topics";
import { workflowMap } from "@/api/workflowMap";
import { PageHeader } from "@/app/pageHeader";
import { TopologyPicture } from "@/canvas/topologyPicture";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
import { plural } from "@/model/durations";
import { type Topology, topologyOf } from "@/model/topology";
import styles from "./page.module.css";

/** Services of the suite, workflows, and the services that their tasks call. */
export function TopologyPage() {
  useTopics(["services"]);
  const services = useTopic("services");
  const map = useQuery(workflowMap);
  const [chosen, setChosen] = useState<string>();
  const topology = useMemo(
    () => services.data && map.data && topologyOf(services.data.services, map.data.workflows),
    [services.data, map.data],
  );
  return (
    <>
      <PageHeader title="Topology" crumbs={<Link to="/visualization">Visualize</Link>} />
      <div className={styles.page}>
        {services.isError && (
          <Problem error={services.error} retry={() => void services.refetch()} />
        )}
        {map.isError && <Problem error={map.error} retry={() => void map.refetch()} />}
        {!topology && !services.isError && !map.isError && <Skeleton rows={10} />}
        {topology && topology.workflows.length === 0 && (
          <Empty title="No workflows yet">
            <p>Workflows and the services that their tasks call appear around the suite.</p>
          </Empty>
        )}
        {topology && (
          <>
            <TopologyPicture topology={topology} chosen={chosen} choose={setChosen} />
            <Connections topology={topology} />
          </>
        )}
      </div>
    </>
  );
}

/** The same as the picture, in words. */
function Connections({ topology }: { topology: Topology }) {
  if (topology.outside.length === 0) return null;
  return (
    <Table title="Called services" heads={["Service", "Kind", "Called by", "Tasks"]}>
      {topology.outside.map((each) => (
        <tr key={each.name}>
          <td>
            <bdi>{each.name}</bdi>
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
            {each.callers.length > 4 && ` and ${plural(each.callers.length - 4, "workflow")} more`}
          </td>
          <td className="numbers">{each.tasks}</td>
        </tr>
      ))}
    </Table>
  );
}
