import { useState } from "react";
import { write } from "@/api/client";
import type { Generated } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import styles from "@/editing/dialogs.module.css";
import { say } from "@/model/messages";
import { TextDiff } from "@/values/textDiff";
import { useSession } from "./session";

/** A draft of the assistant for a sentence; the text changes only where the diff is accepted. */
export function DraftDialog({ close }: { close: () => void }) {
  const session = useSession();
  const [prompt, setPrompt] = useState("");
  const [changes, setChanges] = useState(Boolean(session.draft.workflow));
  const [draft, setDraft] = useState<Generated>();
  const ask = async () => {
    const body = { prompt, source: changes ? session.text : "", provider: "", app: "" };
    setDraft(await write("POST /api/v1/workflows:generate", { body }));
  };
  const accept = () => {
    session.editor?.apply(draft?.source ?? "");
    close();
  };
  return (
    <ActionDialog
      wide
      title={say("builder.draft")}
      label={say(draft?.source ? "builder.acceptDraft" : "builder.makeDraft")}
      busyLabel={say("builder.drafting")}
      disabled={!prompt.trim()}
      failed={say("builder.notDrafted")}
      close={close}
      act={draft?.source ? accept : ask}
    >
      <AreaField
        label={say("builder.prompt")}
        hint={say("builder.promptHint")}
        value={prompt}
        change={(value) => {
          setPrompt(value);
          setDraft(undefined);
        }}
      />
      <label>
        <input
          type="checkbox"
          checked={changes}
          onChange={(event) => {
            setChanges(event.target.checked);
            setDraft(undefined);
          }}
        />
        {say("builder.changeThis")}
      </label>
      {draft && <Findings draft={draft} />}
      {draft?.source && <TextDiff before={session.text} after={draft.source} />}
    </ActionDialog>
  );
}

/** The provider of a draft, its open questions and its problems. */
function Findings({ draft }: { draft: Generated }) {
  return (
    <>
      <p className="muted">
        {say("builder.draftedBy", { provider: draft.provider, model: draft.model })}
        {draft.passedOver.map((each) => ` ${each}.`)}
      </p>
      {draft.note && <p role="alert">{draft.note}</p>}
      {draft.questions.length > 0 && (
        <section aria-label={say("builder.questions")}>
          <h3>{say("builder.questions")}</h3>
          <ul>
            {draft.questions.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </section>
      )}
      {draft.problems.length > 0 && (
        <ul role="alert" className={styles.stopped}>
          {draft.problems.map((each) => (
            <li key={`${each.path} ${each.message}`}>
              {each.path}: {each.message}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
