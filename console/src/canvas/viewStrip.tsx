import "../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import styles from "@/design/tabs.module.css";
import { say } from "@/model/messages";

/** The five views of what runs; graph and timeline are those of the newest execution. */
export function ViewStrip() {
  const newest = useQuery({
    queryKey: ["visualize", "newest"],
    queryFn: ({ signal }) => read("/api/v1/executions", { query: { pageSize: 1 }, signal }),
  });
  const executionId = newest.data?.executions[0]?.executionId;
  const ofNewest = (tab: string) =>
    executionId ? (
      <Link
        to="/executions/$executionId"
        params={{ executionId }}
        search={{ tab }}
        title={say("visualize.ofNewest")}
      >
        {say(tab === "graph" ? "visualize.graph" : "visualize.timeline")}
      </Link>
    ) : (
      <Link to="/executions" title={say("visualize.chooseExecution")}>
        {say(tab === "graph" ? "visualize.graph" : "visualize.timeline")}
      </Link>
    );
  return (
    <nav aria-label={say("visualize.title")} className={styles.bar}>
      <div className={styles.tabs}>
        <Link to="/visualization/topology">{say("visualize.topology")}</Link>
        <Link to="/visualization/grid">{say("visualize.grid")}</Link>
        <Link to="/visualization/galaxy">{say("visualize.galaxy")}</Link>
        {ofNewest("graph")}
        {ofNewest("timeline")}
      </div>
    </nav>
  );
}
