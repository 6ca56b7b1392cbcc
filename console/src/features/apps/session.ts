/** The draft of an application: checked and deployed. */

import { createContext, useContext } from "react";
import { type AppSource, deployApp, readApp, validateApp } from "@/api/apps";
import { newKey } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { ProblemValue, ReleaseValue } from "@/api/schema";
import { DraftSession } from "@/editing/draftSession";
import type { AppModule } from "@/text/app";
import type { Draft } from "@/text/drafts";
import { readText, useComposer } from "./store";

/** The name under which a new document is checked. */
const UNNAMED = "draft";

export class AppSession extends DraftSession {
  #deploying: { content: string; key: string } | undefined;

  constructor(draft: Draft, release: () => void) {
    super({
      draft,
      release,
      store: useComposer,
      read: readText,
      check: (text, signal) => this.#validated(text, signal),
    });
  }

  /** Change the text by an edit that knows the modules of the present text. */
  edit(act: (text: string, modules: readonly AppModule[]) => string, series = false): boolean {
    return this.change((text) => act(text, useComposer.getState().app?.modules ?? []), series);
  }

  /** Deploy the text; a release of another caller is not replaced. */
  async deploy(app: string, environment: Record<string, string>): Promise<ReleaseValue> {
    const { text } = this;
    const { base } = this.draft;
    const body = { document: text, environment, baseRelease: base?.version ?? 0 };
    const content = JSON.stringify([app, body]);
    // A repeat after a lost answer changes nothing.
    if (this.#deploying?.content !== content) this.#deploying = { content, key: newKey() };
    useComposer.setState({ save: { word: "saving" } });
    try {
      const made = await deployApp(app, body, this.#deploying.key);
      this.rebase(app, { text, digest: made.digest, version: made.release });
      this.schedule();
      return made;
    } catch (raised) {
      this.refused(asProblem(raised).message);
      throw raised;
    } finally {
      this.#deploying = undefined;
    }
  }

  async stored(): Promise<AppSource> {
    return readApp(this.draft.workflow);
  }

  async #validated(text: string, signal: AbortSignal): Promise<readonly ProblemValue[]> {
    if (!text.trim()) return [];
    const { workflow, base } = this.draft;
    const found = await validateApp(workflow || UNNAMED, text, base?.version ?? 0, signal);
    return found.problems.map((each) => {
      if (each.file === "app.yaml") return each;
      const { line: _, column: __, ...elsewhere } = each;
      return { ...elsewhere, path: "", message: `${each.file}: ${each.message}` };
    });
  }
}

const Context = createContext<AppSession | undefined>(undefined);
export const SessionProvider = Context.Provider;

export function useSession(): AppSession {
  const session = useContext(Context);
  if (!session) throw new Error("there is no draft");
  return session;
}
