import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChartGantt, Grid3x3, Network, Orbit, Share2 } from "lucide-react";
import type { ReactNode } from "react";
import { read } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import { Problem } from "@/design/problem";
import styles from "./page.module.css";

/** The five views of what runs, in one place. */
export function VisualizePage() {
  const newest = useQuery({
    queryKey: ["visualize", "newest"],
    queryFn: ({ signal }) => read("/api/v1/executions", { query: { pageSize: 1 }, signal }),
  });
  const execution = newest.data?.executions[0];
  const view = (tab: string) =>
    execution && (
      <Link
        to="/executions/$executionId"
        params={{ executionId: execution.executionId }}
        search={{ tab }}
      >
        Of the newest execution
      </Link>
    );
  return (
    <>
      <PageHeader title="Visualize" />
      <div className={styles.page}>
        {newest.isError && <Problem error={newest.error} retry={() => void newest.refetch()} />}
        <ul className={styles.views}>
          <View
            icon={<Share2 />}
            title="Graph"
            text="An execution as its workflow: what ran, what waits and why, and the edges that were taken."
            link={view("graph") ?? <Link to="/executions">Choose an execution</Link>}
          />
          <View
            icon={<ChartGantt />}
            title="Timeline"
            text="An execution over time: waits apart from work, attempts apart, the critical path outlined."
            link={view("timeline") ?? <Link to="/executions">Choose an execution</Link>}
          />
          <View
            icon={<Grid3x3 />}
            title="Grid"
            text="The last executions of a workflow as columns, its tasks as rows: what fails again and again."
            link={<Link to="/visualization/grid">Choose a workflow</Link>}
          />
          <View
            icon={<Network />}
            title="Topology"
            text="Services of the suite, workflows, and the services that their tasks call."
            link={<Link to="/visualization/topology">Show the topology</Link>}
          />
          <View
            icon={<Orbit />}
            title="Galaxy"
            text="All workflows as suns in three dimensions, tasks in orbit, executions as comets."
            link={<Link to="/visualization/galaxy">Fly there</Link>}
          />
        </ul>
      </div>
    </>
  );
}

function View(props: { icon: ReactNode; title: string; text: string; link: ReactNode }) {
  return (
    <li className={styles.view}>
      <span className={styles.icon} aria-hidden>
        {props.icon}
      </span>
      <h2>{props.title}</h2>
      <p className="muted">{props.text}</p>
      {props.link}
    </li>
  );
}
