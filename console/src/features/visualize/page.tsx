import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChartGantt, Grid3x3, Network, Orbit, Share2 } from "lucide-react";
import type { ReactNode } from "react";
import { read } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
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
        {say("visualize.ofNewest")}
      </Link>
    );
  return (
    <>
      <PageHeader title={say("visualize.title")} />
      <div className={`${frame.page} ${styles.column}`}>
        {newest.isError && <Problem error={newest.error} retry={() => void newest.refetch()} />}
        <ul className={styles.views}>
          <View
            icon={<Share2 />}
            title={say("visualize.graph")}
            text={say("visualize.graphText")}
            link={view("graph") ?? <Link to="/executions">{say("visualize.chooseExecution")}</Link>}
          />
          <View
            icon={<ChartGantt />}
            title={say("visualize.timeline")}
            text={say("visualize.timelineText")}
            link={
              view("timeline") ?? <Link to="/executions">{say("visualize.chooseExecution")}</Link>
            }
          />
          <View
            icon={<Grid3x3 />}
            title={say("visualize.grid")}
            text={say("visualize.gridText")}
            link={<Link to="/visualization/grid">{say("visualize.chooseWorkflow")}</Link>}
          />
          <View
            icon={<Network />}
            title={say("visualize.topology")}
            text={say("visualize.topologyText")}
            link={<Link to="/visualization/topology">{say("visualize.showTopology")}</Link>}
          />
          <View
            icon={<Orbit />}
            title={say("visualize.galaxy")}
            text={say("visualize.galaxyText")}
            link={<Link to="/visualization/galaxy">{say("visualize.fly")}</Link>}
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
