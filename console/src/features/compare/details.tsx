import type { Comparison, Difference, NodeComparison } from "@/api/schema";
import { Fold } from "@/design/primitives";
import { Status } from "@/design/status";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import { shownText } from "@/values/text";
import styles from "./page.module.css";

const VALUE_CHARS = 400;

interface Props {
  comparison: Comparison;
  node: string | undefined;
  select: (node: string | undefined) => void;
}

/** What differs at the selected task, then in the whole executions. */
export function Details({ comparison, node, select }: Props) {
  const chosen = comparison.nodes.find((each) => each.id === node);
  const differing = comparison.nodes.filter((each) => each.differs.length > 0);
  return (
    <aside className={styles.details} aria-label={say("compare.differences")}>
      {chosen && <Node node={chosen} />}
      <section>
        <h2>{say("compare.tasks", { count: differing.length })}</h2>
        <ul>
          {differing.slice(0, 200).map((each) => (
            <li key={each.id}>
              <button
                type="button"
                className={styles.other}
                aria-pressed={each.id === node}
                onClick={() => select(each.id)}
              >
                <bdi className="truncate">{each.id}</bdi>
                <span className="muted">{each.differs.map(aspect).join(", ")}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      <Differences title={say("compare.input")} differences={comparison.input} open />
      <Differences title={say("compare.output")} differences={comparison.output} open />
      <Differences title={say("compare.variables")} differences={comparison.variables} />
    </aside>
  );
}

function Node({ node }: { node: NodeComparison }) {
  return (
    <section data-testid="difference" data-node={node.id}>
      <h2>
        <bdi>{node.id}</bdi>
      </h2>
      <p className="muted">
        {node.differs.length > 0
          ? say("compare.differsIn", { aspects: node.differs.map(aspect).join(", ") })
          : say("compare.alike")}
      </p>
      <dl className={styles.pair}>
        {(["left", "right"] as const).map((name) => {
          const side = node[name];
          return (
            <div key={name}>
              <dt>{say(name === "left" ? "compare.left" : "compare.right")}</dt>
              <dd>
                {side ? (
                  <>
                    <Status status={side.status} />
                    <span className="numbers muted">
                      {say("compare.tries", { count: side.attempts })}
                      {side.durationMs === undefined ? "" : `, ${duration(side.durationMs)}`}
                    </span>
                    {side.error && (
                      <span className={styles.error}>
                        <b>{side.error.class}</b> <bdi>{side.error.message}</bdi>
                      </span>
                    )}
                  </>
                ) : (
                  <span className="muted">{say("compare.absent")}</span>
                )}
              </dd>
            </div>
          );
        })}
      </dl>
      <Differences title={say("compare.nodeInput")} differences={node.input ?? []} open />
      <Differences title={say("compare.nodeOutput")} differences={node.output ?? []} open />
    </section>
  );
}

interface DifferencesProps {
  title: string;
  differences: readonly Difference[];
  open?: boolean;
}

function Differences({ title, differences, open }: DifferencesProps) {
  if (differences.length === 0) return null;
  return (
    <Fold title={say("compare.part", { title, count: differences.length })} open={open ?? false}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">{say("compare.path")}</th>
            <th scope="col">{say("compare.left")}</th>
            <th scope="col">{say("compare.right")}</th>
          </tr>
        </thead>
        <tbody>
          {differences.map((each) => (
            <tr key={each.path} data-action={each.action}>
              <td>
                <code>
                  <bdi>{shownText(each.path) || say("compare.wholeValue")}</bdi>
                </code>
              </td>
              <td>
                <Value value={each.before} absent={each.action === "added"} />
              </td>
              <td>
                <Value value={each.after} absent={each.action === "removed"} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Fold>
  );
}

function Value({ value, absent }: { value: unknown; absent: boolean }) {
  if (absent) return <span className="muted">{say("compare.absent")}</span>;
  const text = JSON.stringify(value) ?? "";
  const cut = text.length > VALUE_CHARS;
  return (
    <code>
      <bdi>{shownText(cut ? `${text.slice(0, VALUE_CHARS)}…` : text)}</bdi>
    </code>
  );
}

function aspect(what: NodeComparison["differs"][number]): string {
  return say(`aspect.${what}`);
}
