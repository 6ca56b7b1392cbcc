import { useRef } from "react";
import { PageHeader } from "@/app/pageHeader";
import { Button } from "@/design/primitives";
import { DraftList } from "@/editing/draftList";
import styles from "@/editing/page.module.css";
import { say } from "@/model/messages";
import type { Draft } from "@/text/drafts";

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
        <p className="muted">{say("apps.startHint")}</p>
        <DraftList kind="app" unnamed={say("apps.unnamed")} resume={resume} />
      </div>
    </>
  );
}
