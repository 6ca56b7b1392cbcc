import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { ReleaseValue } from "@/api/schema";
import { Button } from "@/design/primitives";
import page from "@/editing/page.module.css";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import type { AppSession } from "./session";
import { useComposer } from "./store";

export function SaveWord() {
  const save = useComposer((state) => state.save);
  const words = {
    kept: () => say("builder.kept"),
    saving: () => say("apps.deploying"),
    refused: () => say("apps.cannotDeploy", { reason: save.word === "refused" ? save.reason : "" }),
    clean: () => say("apps.asRelease", { release: save.word === "clean" ? save.version : 0 }),
    saved: () => say("apps.asRelease", { release: save.word === "saved" ? save.version : 0 }),
  };
  return (
    <span className="muted" role="status" data-testid="save-state">
      {words[save.word]()}
    </span>
  );
}

/** The addresses of a release that was deployed here. */
export function Served({ app, release }: { app: string; release: ReleaseValue }) {
  const found = useQuery({
    queryKey: ["app", app, release.release],
    queryFn: ({ signal }) => read("/api/v1/apps/{app}", { path: { app }, signal }),
  });
  return (
    <p className={page.banner} role="status">
      <span className={styles.served}>{say("apps.serves", { release: release.release })}</span>
      {Object.entries(found.data?.addresses ?? {}).map(([server, at]) => (
        <a key={server} href={`http://${at}`} target="_blank" rel="noopener noreferrer">
          {at}
        </a>
      ))}
      <Link to="/apps/$app" params={{ app }}>
        {say("apps.details")}
      </Link>
    </p>
  );
}

/** Undo, redo, tidy up, and the text as a file. */
export function Download({ session }: { session: AppSession }) {
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([session.text], { type: "application/yaml" }));
    link.download = `${session.draft.workflow || "app"}.yaml`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return <Button onClick={save}>{say("builder.download")}</Button>;
}
