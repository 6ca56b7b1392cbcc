import { Button, Time } from "@/design/primitives";
import { say } from "@/model/messages";
import { type Draft, type DraftKind, deleteDraft } from "@/text/drafts";
import { useDrafts } from "./drafting";
import styles from "./page.module.css";

interface Props {
  kind?: DraftKind;
  /** The word for a draft without a name. */
  unnamed: string;
  resume: (draft: Draft) => void;
}

/** The drafts of this browser, to continue or to discard. */
export function DraftList({ kind, unnamed, resume }: Props) {
  const { drafts, refresh } = useDrafts(kind);
  if (drafts.length === 0) return null;
  return (
    <section aria-label={say("builder.drafts")}>
      <h2>{say("builder.drafts")}</h2>
      <ul className={styles.drafts}>
        {drafts.map((draft) => (
          <li key={draft.id}>
            <Button kind="quiet" onClick={() => resume(draft)}>
              {draft.name || unnamed}
            </Button>
            <span className="muted">
              <Time at={new Date(draft.changedAt).toISOString()} />
            </span>
            <Button small onClick={() => void deleteDraft(draft.id).then(refresh)}>
              {say("builder.discard")}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
