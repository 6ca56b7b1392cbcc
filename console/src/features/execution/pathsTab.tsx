import { ChevronRight } from "lucide-react";
import { Empty, Skeleton } from "@/design/primitives";
import { StatusMark } from "@/design/status";
import { plural } from "@/model/durations";
import { useExecution } from "./data";
import styles from "./plain.module.css";

const WORDS = { taken: "Taken", notTaken: "Not taken", open: "Open" } as const;

/** The paths through the graph: taken, not taken, or still open, with the task they stand at. */
export default function PathsTab() {
  const { progress, statusOf, select, graph, at } = useExecution();
  if (!progress) return <Skeleton />;
  if (progress.paths.length === 0) return <Empty title="This workflow has no paths to list" />;
  const ended = new Set(["success", "failed"]);
  return (
    <div className={styles.page}>
      <p className="muted">
        {progress.graph.pathsCapped
          ? `${progress.graph.pathCountText} paths, of which ${progress.paths.length} are listed.`
          : plural(progress.paths.length, "path")}
      </p>
      <ol className={styles.list}>
        {progress.paths.map((path, index) => {
          const done = path.nodes.filter((node) => ended.has(statusOf(node))).length;
          const state =
            at === undefined ? path.status : done === path.nodes.length ? "taken" : "open";
          return (
            <li key={path.nodes.join(" ")} data-out={state === "notTaken" || undefined}>
              <p className={styles.pathHead}>
                <strong>Path {index + 1}</strong> {WORDS[state]}
                <span className="muted numbers">
                  {done} of {path.nodes.length}
                </span>
              </p>
              <div className={styles.path}>
                {path.nodes.map((node, place) => (
                  <span key={node} className={styles.path}>
                    {place > 0 && <ChevronRight size={12} aria-hidden />}
                    <button type="button" onClick={() => select(node)}>
                      <StatusMark status={statusOf(node)} named />
                      {graph?.nodes[graph.index.get(node) ?? -1]?.name ?? node}
                    </button>
                  </span>
                ))}
              </div>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
