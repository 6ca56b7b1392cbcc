import type { AnalysisAnswer } from "@/api/schema";
import { graphOf } from "@/model/graph";
import type { Task, Workflow } from "@/text/workflow";

/** The tasks of another format, as the server reads its graph; they are moved, not edited. */
export function tasksOfAnalysis(analysis: AnalysisAnswer, workflow: Workflow): Task[] {
  const graph = graphOf(analysis);
  return graph.nodes.map((node, place) => ({
    id: node.id,
    title: node.name,
    kind: node.isMap ? "map" : "taskRef",
    ref: node.type,
    place: { doc: workflow.doc, path: [] },
    after: graph.edges
      .filter((edge) => edge.to === place)
      .map((edge) => ({
        task: graph.nodes[edge.from]?.id ?? "",
        on: edge.onFailure ? "failure" : edge.label || undefined,
      })),
    uses: [],
    undo: undefined,
    inner: [],
    value: {},
  }));
}
