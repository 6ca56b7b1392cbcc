import { useEffect, useState } from "react";
import type { Stored } from "@/api/definitions";
import { DraftBanner } from "@/editing/banner";
import { say } from "@/model/messages";
import { onAnnounced, useSession } from "./session";
import { useBuilder } from "./store";
import type { Opened } from "./useDraft";

/** A draft that was found again, and versions that others have stored since. */
export function Banner({ opened }: { opened: Opened }) {
  const session = useSession();
  const { readOnly } = useBuilder();
  const [newer, setNewer] = useState<Stored | undefined>(opened.newer);
  useEffect(
    () =>
      onAnnounced(({ workflow, draft }) => {
        if (workflow !== session.draft.workflow || draft === session.draft.id) return;
        void session.stored().then(setNewer);
      }),
    [session],
  );
  return (
    <DraftBanner
      session={session}
      readOnly={readOnly}
      restored={opened.restored}
      newer={newer}
      newerWords={newer && say("builder.newer", { version: newer.version })}
    />
  );
}
