import { Palette } from "@/editing/palette";
import { say } from "@/model/messages";
import { DRAGGED } from "./additions";
import { KindIcon } from "./kinds";
import { useAdding, useAdditions } from "./useAdditions";

const GROUPS = ["control", "types", "library", "templates"] as const;

/** Tasks of the library, built-in types, control nodes and templates. */
export function PalettePanel() {
  const { adding, asked } = useAdding();
  return (
    <>
      <Palette
        all={useAdditions()}
        groups={GROUPS.map((group) => [group, say(`builder.group.${group}`)])}
        add={adding}
        icon={({ kind }) => <KindIcon kind={kind} size={14} />}
        dragged={DRAGGED}
        hint={say("builder.find")}
        kept="flowmesh.builder.used"
      />
      {asked}
    </>
  );
}
