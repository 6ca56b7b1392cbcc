import { GraphPane } from "@/canvas/graphStage";
import { Empty, Skeleton } from "@/design/primitives";
import { say } from "@/model/messages";
import { useExecution } from "./data";
import { useDetails, useShares } from "./nodeLines";

/** The graph of the workflow with the state of each task at the moment, and the same as a tree. */
export default function GraphTab() {
  const { graph, statusOf, node, select, version, at, execution } = useExecution();
  const detailOf = useDetails();
  const shareOf = useShares();
  if (!graph) return <Skeleton />;
  if (graph.nodes.length === 0) return <Empty title={say("graph.empty")} />;
  const { all = false, nodes = [] } = execution?.breakpoints ?? {};
  return (
    <GraphPane
      source={{
        graph,
        statusOf,
        detailOf,
        shareOf,
        stopsAt: (id) => all || nodes.includes(id),
        selected: node,
        select,
        version: `${version} ${at ?? ""} ${all} ${nodes.length}`,
      }}
    />
  );
}
