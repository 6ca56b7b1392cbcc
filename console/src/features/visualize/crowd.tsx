import { useMemo, useState } from "react";
import { TopologyPicture } from "@/canvas/topologyPicture";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { shownService, type Topology } from "@/model/topology";
import { around, type Group, groupsOf, withGroups } from "@/model/topologyGroups";
import styles from "./page.module.css";

/** Beyond so many workflows they are put together. */
const CROWD = 20;

interface Props {
  topology: Topology;
  teams: ReadonlyMap<string, string>;
}

/** The picture of a topology, of many workflows by groups; a choice hides what it does not touch. */
export function Crowd({ topology, teams }: Props) {
  const [chosen, choose] = useState<string>();
  const [apart, setApart] = useState(false);
  const crowded = topology.workflows.length > CROWD;
  const groups = useMemo(() => groupsOf(topology, teams), [topology, teams]);
  const group = groups.find((each) => each.name === chosen);
  const shown = useMemo(() => {
    if (group) return membersOf(topology, group);
    if (chosen) return around(topology, chosen);
    return apart || !crowded ? topology : withGroups(topology, groups);
  }, [crowded, topology, group, chosen, apart, groups]);
  const labelOf = (name: string) => {
    const named = groups.find((each) => each.name === name);
    return named ? titleOf(named) : shownService(name);
  };
  return (
    <>
      {(crowded || chosen) && (
        <p className={styles.crowd}>
          <span className="muted" role="status">
            {chosen
              ? say("topology.only", { name: labelOf(chosen) })
              : say("topology.crowd", { workflows: topology.workflows.length })}
          </span>
          {chosen ? (
            <Button onClick={() => choose(undefined)}>{say("topology.showAll")}</Button>
          ) : (
            <Button aria-pressed={!apart} onClick={() => setApart(!apart)}>
              {say("topology.group")}
            </Button>
          )}
        </p>
      )}
      <TopologyPicture
        topology={shown}
        chosen={group ? undefined : chosen}
        choose={choose}
        labelOf={labelOf}
      />
    </>
  );
}

/** `Team payments (12)`, or `invoices and 11 that call the same`. */
function titleOf({ team, members }: Group): string {
  return team === undefined
    ? say("topology.alike", { name: members[0] ?? "", others: members.length - 1 })
    : say("topology.team", { team, count: members.length });
}

/** The members of a group with the services that they call. */
function membersOf(topology: Topology, { members }: Group): Topology {
  const workflows = topology.workflows.filter((each) => members.includes(each.name));
  const called = new Set(workflows.flatMap((each) => each.services));
  return {
    suite: topology.suite,
    workflows,
    outside: topology.outside.filter((each) => called.has(each.name)),
    calls: topology.calls.filter((each) => members.includes(each.source)),
  };
}
