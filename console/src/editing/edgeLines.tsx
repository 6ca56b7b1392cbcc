import { memo } from "react";
import { say } from "@/model/messages";
import { curve, curveBack, type DrawnEdge, type Placed } from "./placing";
import styles from "./stage.module.css";

export interface Edge {
  from: string;
  to: string;
}

interface Props {
  placed: Placed;
  chosen: Edge | undefined;
  editable: boolean;
  choose: (edge: Edge) => void;
}

/** The edges: those of `dependsOn` can be chosen, those of templates are dashed. */
export const EdgeLines = memo(function EdgeLines({ placed, chosen, editable, choose }: Props) {
  return (
    <svg className={styles.edges}>
      <title>{say("builder.edges")}</title>
      {placed.edges.map((edge) => {
        const [from, to] = [placed.at.get(edge.from), placed.at.get(edge.to)];
        if (!from || !to) return null;
        return (
          <EdgeLine
            key={`${edge.from} ${edge.to}`}
            edge={edge}
            path={curve(from, to)}
            middle={{ x: (from.x + to.x + 172) / 2, y: (from.y + to.y + 44) / 2 }}
            chosen={chosen?.from === edge.from && chosen.to === edge.to}
            editable={editable}
            choose={choose}
          />
        );
      })}
      {placed.undone?.map(({ from, to }) => {
        const [start, end] = [placed.at.get(from), placed.at.get(to)];
        if (!start || !end) return null;
        const middle = { x: (start.x + end.x + 172) / 2, y: Math.max(start.y, end.y) + 92 };
        return (
          <g
            key={`${from} ${to}`}
            className={styles.edge}
            data-undo={JSON.stringify([from, to])}
            data-kind="undo"
          >
            <title>{say("builder.compensation", { from, to })}</title>
            <path d={curveBack(start, end)} className={styles.line} />
            <text x={middle.x} y={middle.y} aria-hidden>
              ↩
            </text>
          </g>
        );
      })}
    </svg>
  );
});

/** The characters of a value that fit between two boxes; all of it is the title. */
const VALUE_MAX = 10;

interface LineProps {
  edge: DrawnEdge;
  path: string;
  middle: { x: number; y: number };
  chosen: boolean;
  editable: boolean;
  choose: (edge: Edge) => void;
}

const EdgeLine = memo(function EdgeLine({
  edge,
  path,
  middle,
  chosen,
  editable,
  ...rest
}: LineProps) {
  const { from, to, label, implied } = edge;
  const choose = () => rest.choose({ from, to });
  const words = say("builder.edge", { from, to, on: label || say("builder.success") });
  const data = JSON.stringify([from, to]);
  const kind = edge.kind ?? (label === "failure" ? "failure" : implied ? "implied" : undefined);
  return (
    <g data-edge={data} className={styles.edge} data-chosen={chosen || undefined} data-kind={kind}>
      <path d={path} className={styles.line} />
      {editable && !implied && !edge.kind && (
        <path
          d={path}
          className={styles.reach}
          role="button"
          tabIndex={0}
          aria-label={words}
          aria-pressed={chosen}
          onPointerDown={(event) => {
            event.stopPropagation();
            choose();
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            choose();
          }}
        />
      )}
      {label && (
        <text x={middle.x} y={middle.y - 5} aria-hidden>
          {label}
        </text>
      )}
      {edge.value !== undefined && (
        <text x={middle.x} y={middle.y + 12} className={styles.value} data-value>
          <title>{say("builder.gave", { task: from, value: edge.value })}</title>
          {edge.value.length > VALUE_MAX ? `${edge.value.slice(0, VALUE_MAX)}…` : edge.value}
        </text>
      )}
    </g>
  );
}, sameLine);

function sameLine(before: LineProps, after: LineProps): boolean {
  return (
    before.path === after.path &&
    before.chosen === after.chosen &&
    before.editable === after.editable &&
    before.choose === after.choose &&
    JSON.stringify(before.edge) === JSON.stringify(after.edge)
  );
}
