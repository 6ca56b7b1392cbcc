import { useMemo } from "react";
import { Palette } from "@/editing/palette";
import { say } from "@/model/messages";
import { type Addition, addedTo, additionsOf, DRAGGED } from "./additions";
import { useLibrary } from "./completion";
import { KindIcon } from "./kinds";
import { useSession } from "./session";

const GROUPS = ["control", "types", "library"] as const;

/** Tasks of the library, built-in types and control nodes. */
export function PalettePanel() {
  const session = useSession();
  return (
    <Palette
      all={useAdditions()}
      groups={GROUPS.map((group) => [group, say(`builder.group.${group}`)])}
      add={(addition) => addedTo(session, addition)}
      icon={({ kind }) => <KindIcon kind={kind} size={14} />}
      dragged={DRAGGED}
      kept="flowmesh.builder.used"
    />
  );
}

export function useAdditions(): Addition[] {
  const { tasks, types } = useLibrary();
  return useMemo(() => additionsOf(tasks, types), [tasks, types]);
}
