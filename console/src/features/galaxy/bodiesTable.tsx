import { Link } from "@tanstack/react-router";
import type { MapWorkflow } from "@/api/schema";
import { Button } from "@/design/primitives";
import { Table } from "@/design/table";
import { count } from "@/model/durations";
import type { Activity } from "@/model/galaxy";
import { say } from "@/model/messages";

const HEADS = [
  say("galaxyTable.workflow"),
  say("galaxyTable.tasks"),
  say("galaxyTable.calls"),
  say("galaxyTable.started"),
  say("galaxyTable.completed"),
  say("galaxyTable.failed"),
  "",
];
const SHOWN = 200;

interface Props {
  workflows: readonly MapWorkflow[];
  activity: ReadonlyMap<string, Activity> | undefined;
  fly: (workflow: string) => void;
}

/** The content of the galaxy in words and numbers. */
export function BodiesTable({ workflows, activity, fly }: Props) {
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
      heads={HEADS}
    >
      {workflows.slice(0, SHOWN).map((each) => {
        const found = activity?.get(each.workflow);
        return (
          <tr key={each.workflow}>
            <td>
              <Link to="/dashboards" search={{ workflow: each.workflow }}>
                <bdi>{each.workflow}</bdi>
              </Link>
            </td>
            <td className="numbers">{count(each.tasks.length)}</td>
            <td title={each.services.join("\n")}>
              <bdi>{each.services.join(", ") || "–"}</bdi>
            </td>
            <td className="numbers">{count(found?.started ?? 0)}</td>
            <td className="numbers">{count(found?.completed ?? 0)}</td>
            <td className="numbers">{count(found?.failed ?? 0)}</td>
            <td>
              <Button small onClick={() => fly(each.workflow)}>
                {say("galaxyTable.flyThere")}
              </Button>
            </td>
          </tr>
        );
      })}
    </Table>
  );
}
