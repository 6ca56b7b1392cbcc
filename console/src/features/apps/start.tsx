import { useRef } from "react";
import { PageHeader } from "@/app/pageHeader";
import { Button, Time } from "@/design/primitives";
import { useDrafts } from "@/editing/drafting";
import styles from "@/editing/page.module.css";
import { say } from "@/model/messages";
import { type Draft, deleteDraft } from "@/text/drafts";

const BLANK = `name: hello
modules:
  - name: web
    type: http.server
    config:
      address: ":0"
  - name: router
    type: http.router
  - name: hello
    type: http.handler
    config:
      contentType: text/plain
      body: Hello
workflows:
  http:
    routes:
      - {method: GET, path: /hello, handler: hello}
`;

interface Props {
  begin: (text: string) => void;
  resume: (draft: Draft) => void;
}

/** The ways to begin: a small application, a file, a draft of this browser. */
export function StartPage({ begin, resume }: Props) {
  const file = useRef<HTMLInputElement>(null);
  const { drafts, refresh } = useDrafts("app");
  return (
    <>
      <PageHeader title={say("apps.new")} />
      <div className={styles.start}>
        <div className={styles.ways}>
          <Button kind="primary" onClick={() => begin(BLANK)}>
            {say("apps.small")}
          </Button>
          <Button onClick={() => file.current?.click()}>{say("apps.openFile")}</Button>
          <input
            ref={file}
            hidden
            type="file"
            accept=".yaml,.yml,.json"
            aria-label={say("apps.openFile")}
            onChange={(event) => void event.target.files?.[0]?.text().then(begin)}
          />
        </div>
        {drafts.length > 0 && (
          <section aria-label={say("builder.drafts")}>
            <h2>{say("builder.drafts")}</h2>
            <ul className={styles.drafts}>
              {drafts.map((draft) => (
                <li key={draft.id}>
                  <Button kind="quiet" onClick={() => resume(draft)}>
                    {draft.name || say("apps.unnamed")}
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
        )}
      </div>
    </>
  );
}
