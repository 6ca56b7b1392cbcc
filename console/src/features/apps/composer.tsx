import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { AppSource } from "@/api/apps";
import { read } from "@/api/client";
import type { ProblemValue, ReleaseValue } from "@/api/schema";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Splitter, useWidth } from "@/design/splitter";
import { TabPanel, Tabs } from "@/design/tabs";
import { DraftBanner } from "@/editing/banner";
import { offsetsOf, placeOfFinding } from "@/editing/diagnostics";
import type { Held } from "@/editing/drafting";
import { Findings } from "@/editing/findings";
import page from "@/editing/page.module.css";
import { TextPane } from "@/editing/textPane";
import { undoKeys } from "@/editing/undoKeys";
import { say } from "@/model/messages";
import { placeAt } from "@/text/source";
import { complete } from "./completion";
import { DeployDialog } from "./deployDialog";
import { useForms } from "./forms";
import { Download, SaveWord, Served } from "./header";
import { Inspector } from "./inspector";
import { ModulePalette } from "./modulePalette";
import { RoutesPanel } from "./routes";
import type { AppSession } from "./session";
import { Stage } from "./stage";
import { type Panel, select, showFlow, useComposer } from "./store";

export interface Opened extends Pick<Held<AppSource>, "restored" | "newer"> {
  session: AppSession;
}

interface Props {
  opened: Opened;
  /** A release was deployed, of the application that the address names then. */
  stored: () => void;
}

export function Composer({ opened: { session, restored, newer }, stored }: Props) {
  const state = useComposer();
  const { panel, app, flow } = state;
  const forms = useForms();
  const [deploying, setDeploying] = useState(false);
  const [served, setServed] = useState<ReleaseValue>();
  const [width, setWidth] = useWidth("composer", 460);
  const [palette, setPalette] = useState(() => matchMedia("(min-width: 901px)").matches);
  const setPanel = (next: Panel) => useComposer.setState({ panel: next });
  const known = useVariables(session.draft.workflow);
  const fold = () => setPalette((before) => !before);
  useKeys("builder", {
    "mod+s": () => setDeploying(true),
    ...undoKeys(session, deploying),
    "mod+b": fold,
    t: () => setPanel("text"),
    p: () => setPanel("properties"),
    u: () => setPanel("routes"),
  });
  useOffered([
    { id: "deploy", label: say("apps.deploy"), keys: "Ctrl S", run: () => setDeploying(true) },
    { id: "routes", label: say("apps.routes"), keys: "U", run: () => setPanel("routes") },
    { id: "text", label: say("builder.text"), keys: "T", run: () => setPanel("text") },
  ]);
  const go = (finding: ProblemValue) => {
    const { from, to } = offsetsOf(finding, { source: state.source });
    choose(placeOfFinding(finding, state.source).path);
    setPanel("text");
    session.editor?.show(from, to, true);
  };
  return (
    <>
      <PageHeader
        title={session.draft.workflow || app?.name || say("apps.unnamed")}
        crumbs={<Link to="/apps">{say("apps.all")}</Link>}
        beside={<SaveWord />}
        actions={
          <>
            <Download session={session} />
            <Button kind="primary" onClick={() => setDeploying(true)}>
              {say("apps.deploy")}
            </Button>
          </>
        }
      >
        <DraftBanner
          session={session}
          readOnly={state.readOnly}
          restored={restored}
          newer={newer}
          newerWords={newer && say("apps.newer", { release: newer.version })}
        />
        {served && <Served app={session.draft.workflow} release={served} />}
        {forms.isError && <Problem error={forms.error} retry={() => void forms.refetch()} />}
      </PageHeader>
      <div className={frame.split}>
        {palette && <ModulePalette session={session} />}
        <div className={page.centre}>
          {flow && (
            <nav className={page.levels} aria-label={say("builder.levels")}>
              <Button small kind="quiet" onClick={() => showFlow(undefined)}>
                {say("apps.modules")}
              </Button>
              / <code>{flow.title}</code>
            </nav>
          )}
          <Stage fold={fold} />
          <Findings session={session} shown={state} go={go} />
        </div>
        <Splitter width={width} setWidth={setWidth} label={say("builder.width")} />
        <div className={page.side} style={{ width }}>
          <Tabs
            label={say("builder.panels")}
            tabs={[
              { id: "properties", label: say("builder.properties") },
              { id: "routes", label: say("apps.routes") },
              { id: "text", label: say("builder.text") },
            ]}
            chosen={panel}
            choose={setPanel}
          />
          <TabPanel tab={panel} className={page.panel}>
            <TextPane
              session={session}
              hidden={panel !== "text"}
              complete={complete}
              reached={chooseAt}
            />
            {panel === "properties" && <Inspector />}
            {panel === "routes" && <RoutesPanel />}
          </TabPanel>
        </div>
      </div>
      {deploying && (
        <DeployDialog
          known={known}
          close={() => setDeploying(false)}
          deployed={(_, release) => {
            setDeploying(false);
            setServed(release);
            stored();
          }}
        />
      )}
    </>
  );
}

/** Names of the variables that the present release has values for. */
function useVariables(app: string): readonly string[] {
  const found = useQuery({
    queryKey: ["app", app, "releases"],
    queryFn: ({ signal }) => read("/api/v1/apps/{app}/releases", { path: { app }, signal }),
    enabled: !!app,
  });
  const serving = found.data?.releases.find((each) => each.state === "serving");
  return (serving ?? found.data?.releases[0])?.environment ?? NO_NAMES;
}

const NO_NAMES: readonly string[] = [];

/** Select what the cursor of the text stands in. */
function chooseAt(offset: number): void {
  const place = placeAt(useComposer.getState().source, offset);
  if (place) choose(place.path);
}

/** Select the module or the route of a place. */
function choose(path: readonly (string | number)[]): void {
  const { app, flow, selected, route: chosen } = useComposer.getState();
  const within = (each: { place: { path: readonly (string | number)[] } }) =>
    each.place.path.every((key, depth) => path[depth] === key);
  const module = flow ? undefined : app?.modules.find(within);
  if (module && selected[0] !== module.id) select([module.id]);
  const found = app?.routes.find(within);
  if (found && found.id !== chosen) useComposer.setState({ route: found.id });
}
