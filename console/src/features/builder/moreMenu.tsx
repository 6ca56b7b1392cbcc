import { useState } from "react";
import { convert, EXPORTS, type Export } from "@/api/definitions";
import { asProblem } from "@/api/problems";
import { Menu, MenuItem } from "@/design/menu";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { DraftDialog } from "./draftDialog";
import { ImportDialog } from "./importDialog";
import { ProposalsDialog } from "./proposalsDialog";
import { useSession } from "./session";
import { useBuilder } from "./store";

const EXTENSIONS: Record<Export, string> = {
  native: "yaml",
  steps: "steps.json",
  graph: "graph.json",
  serverless: "sw.json",
  states: "asl.json",
  python: "py",
};

/** Drafts and proposals, import and export. */
export function MoreMenu() {
  const session = useSession();
  const [open, setOpen] = useState<"draft" | "import" | "proposals">();
  const close = () => setOpen(undefined);
  const save = async (to: Export) => {
    try {
      const name = useBuilder.getState().workflow?.name || "workflow";
      download(`${name}.${EXTENSIONS[to]}`, await convert(session.text, to));
    } catch (raised) {
      useBuilder.setState({ notice: asProblem(raised).message });
    }
  };
  const toNative = async () => {
    try {
      session.editor?.apply(await convert(session.text, "native"));
    } catch (raised) {
      useBuilder.setState({ notice: asProblem(raised).message });
    }
  };
  return (
    <>
      <Menu
        label={say("builder.moreActions")}
        trigger={<Button>{say("builder.moreActions")}</Button>}
      >
        <MenuItem onSelect={() => setOpen("draft")}>{say("builder.draft")}</MenuItem>
        {session.draft.workflow && (
          <MenuItem onSelect={() => setOpen("proposals")}>{say("builder.proposals")}</MenuItem>
        )}
        <MenuItem onSelect={() => void toNative()}>{say("builder.toNative")}</MenuItem>
        <MenuItem onSelect={() => setOpen("import")}>{say("builder.import")}</MenuItem>
        <MenuItem
          onSelect={() => {
            const name = useBuilder.getState().workflow?.name || "workflow";
            download(`${name}.txt`, session.text);
          }}
        >
          {say("builder.download")}
        </MenuItem>
        {EXPORTS.map((each) => (
          <MenuItem key={each} onSelect={() => void save(each)}>
            {say("builder.export", { format: say(`builder.format.${each}`) })}
          </MenuItem>
        ))}
      </Menu>
      {open === "draft" && <DraftDialog close={close} />}
      {open === "proposals" && <ProposalsDialog close={close} />}
      {open === "import" && (
        <ImportDialog
          close={close}
          take={(text) => {
            session.editor?.apply(text);
            close();
          }}
        />
      )}
    </>
  );
}

function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
