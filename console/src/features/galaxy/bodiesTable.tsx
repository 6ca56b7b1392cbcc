import { Link } from "@tanstack/react-router";
import type { MapWorkflow } from "@/api/schema";
import { Button } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { count } from "@/model/durations";
import type { Activity } from "@/model/galaxy";
import { say } from "@/model/messages";

const SHOWN = 200;

interface Props {
  workflows: readonly MapWorkflow[];
  activity: ReadonlyMap<string, Activity> | undefined;
  fly: (workflow: string) => void;
}

/** The content of the galaxy in words and numbers. */
export function BodiesTable({ workflows, activity, fly }: Props) {
  const number = (of: keyof Activity) => (each: MapWorkflow) =>
    count(activity?.get(each.workflow)?.[of] ?? 0);
  const columns: readonly Column<MapWorkflow>[] = [
    {
      head: say("galaxyTable.workflow"),
      cell: ({ workflow }) => (
        <Link to="/dashboards" search={{ workflow }}>
          <bdi>{workflow}</bdi>
        </Link>
      ),
    },
    { head: say("galaxyTable.tasks"), as: "numbers", cell: (each) => count(each.tasks.length) },
    {
      head: say("galaxyTable.calls"),
      as: "text",
      title: (each) => each.services.join("\n"),
      cell: (each) => each.services.join(", ") || "–",
    },
    { head: say("galaxyTable.started"), as: "numbers", cell: number("started") },
    { head: say("galaxyTable.completed"), as: "numbers", cell: number("completed") },
    { head: say("galaxyTable.failed"), as: "numbers", cell: number("failed") },
    {
      head: "",
      cell: ({ workflow }) => (
        <Button small onClick={() => fly(workflow)}>
          {say("galaxyTable.flyThere")}
        </Button>
      ),
    },
  ];
  return (
    <Table
      title={say("galaxyTable.table")}
      beside={
        workflows.length > SHOWN && (
          <span className="muted">
            {say("galaxyTable.first", { shown: SHOWN, total: workflows.length })}
          </span>
        )
      }
      columns={columns}
      rows={workflows.slice(0, SHOWN)}
      keyOf={(each) => each.workflow}
    />
  );
}
