import "../../../messages/apps";
import "../../../messages/builder";
/** The builder of applications: composed as text and on the canvas, both at once, and deployed. */

import { getRouteApi, useNavigate, useParams } from "@tanstack/react-router";
import { readApp } from "@/api/apps";
import { PageHeader } from "@/app/pageHeader";
import { Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { draftOf, heldDraft } from "@/editing/drafting";
import { useOpened } from "@/editing/opening";
import { say } from "@/model/messages";
import { appOf } from "@/text/app";
import { type Draft, putDraft } from "@/text/drafts";
import { parsed } from "@/text/source";
import { Composer, type Opened } from "./composer";
import { AppSession, SessionProvider } from "./session";
import { StartPage } from "./start";
import { INITIAL, useComposer } from "./store";

const route = getRouteApi("/composer");

async function openApp(id: string | undefined, app: string): Promise<Opened> {
  const held = await heldDraft({ id, stored: app, kind: "app", read: (name) => readApp(name) });
  const { draft, release, restored, newer } = held;
  return { session: new AppSession(draft, release), restored, newer };
}

export function AppEditorPage() {
  const { app = "" } = useParams({ strict: false });
  const { draft } = route.useSearch();
  const navigate = useNavigate();
  const address = ({ id, workflow }: Draft) => {
    const search = { draft: id };
    if (!workflow) void navigate({ to: "/apps/new", search, replace: true });
    else void navigate({ to: "/apps/$app/edit", params: { app: workflow }, search, replace: true });
  };
  const { opened, error } = useOpened({
    stored: app,
    draft,
    open: openApp,
    show: address,
    reset: () => useComposer.setState(INITIAL),
  });
  const begin = async (text: string) => {
    const name = appOf(parsed(text), () => [])?.name ?? "";
    const made = draftOf({ text, stored: "", name, base: undefined, kind: "app" });
    await putDraft(made).catch(() => {});
    void navigate({ to: "/apps/new", search: { draft: made.id } });
  };
  if (error !== undefined) {
    return (
      <>
        <PageHeader title={app || say("apps.new")} />
        <Problem error={error} />
      </>
    );
  }
  if (!opened && !app && !draft) {
    return <StartPage begin={(text) => void begin(text)} resume={address} />;
  }
  if (!opened) return <Skeleton />;
  return (
    <SessionProvider value={opened.session}>
      <Composer
        key={opened.session.draft.id}
        opened={opened}
        stored={() => address(opened.session.draft)}
      />
    </SessionProvider>
  );
}
