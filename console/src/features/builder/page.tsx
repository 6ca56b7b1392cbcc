import "../../../messages/builder";
/** The builder: a workflow is composed as text and on the canvas, both at once, and run. */

import { getRouteApi, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Splitter, useWidth } from "@/design/splitter";
import { TabPanel, Tabs } from "@/design/tabs";
import { useOpened } from "@/editing/opening";
import styles from "@/editing/page.module.css";
import { undoKeys } from "@/editing/undoKeys";
import { say } from "@/model/messages";
import { type Draft, putDraft } from "@/text/drafts";
import { Banner } from "./banner";
import { EditorPane } from "./editorPane";
import { FindingsBar } from "./findingsBar";
import { Inspector } from "./inspector";
import { Levels } from "./levels";
import { MoreMenu } from "./moreMenu";
import { PalettePanel } from "./palettePanel";
import { RunPanel } from "./runPanel";
import { SaveDialog } from "./saveDialog";
import { SaveWord } from "./saveWord";
import { SessionProvider } from "./session";
import { Stage } from "./stage";
import { StartPage } from "./start";
import { INITIAL, type Panel, useBuilder } from "./store";
import { TestPanel } from "./testPanel";
import { newDraft, type Opened, openDraft } from "./useDraft";

const route = getRouteApi("/builder");
/** Up to this width the palette begins folded. */
const NARROW_PX = 900;

export function BuilderPage() {
  const { workflowId = "" } = useParams({ strict: false });
  const { draft, template } = route.useSearch();
  const navigate = useNavigate();
  const address = ({ id, workflow }: Draft) => {
    const search = { draft: id };
    if (!workflow) void navigate({ to: "/workflows/new", search, replace: true });
    else {
      const params = { workflowId: workflow };
      void navigate({ to: "/workflows/$workflowId/edit", params, search, replace: true });
    }
  };
  const { opened, error } = useOpened({
    stored: workflowId,
    draft,
    open: openDraft,
    show: address,
    reset: () => useBuilder.setState(INITIAL),
  });
  const begin = async (text: string) => {
    const made = newDraft(text, "", undefined);
    await putDraft(made).catch(() => {});
    void navigate({ to: "/workflows/new", search: { draft: made.id } });
  };
  if (error !== undefined) {
    return (
      <>
        <PageHeader title={workflowId || say("builder.new")} />
        <Problem error={error} />
      </>
    );
  }
  if (!opened && !workflowId && !draft) {
    return <StartPage template={template} begin={(text) => void begin(text)} resume={address} />;
  }
  if (!opened) return <Skeleton />;
  return (
    <SessionProvider value={opened.session}>
      <Builder
        key={opened.session.draft.id}
        opened={opened}
        stored={() => address(opened.session.draft)}
      />
    </SessionProvider>
  );
}

interface Props {
  opened: Opened;
  /** A version was stored, of the workflow that the address names then. */
  stored: () => void;
}

function Builder({ opened, stored }: Props) {
  const { session } = opened;
  const panel = useBuilder((state) => state.panel);
  const workflow = useBuilder((state) => state.workflow);
  const [saving, setSaving] = useState<{ done?: (name: string | undefined) => void }>();
  const [width, setWidth] = useWidth("builder", 400);
  const [palette, setPalette] = useState(() => innerWidth > NARROW_PX);
  const setPanel = (next: Panel) => useBuilder.setState({ panel: next });
  const name = workflow?.name || session.draft.workflow;
  const save = () => setSaving({});
  const saveFirst = () =>
    new Promise<string | undefined>((done) => {
      const { word } = useBuilder.getState().save;
      if (word === "clean" || word === "saved") done(session.draft.workflow);
      else setSaving({ done });
    });
  const close = (saved?: string) => {
    saving?.done?.(saved);
    setSaving(undefined);
    if (saved) stored();
  };
  const fold = () => setPalette((before) => !before);
  useKeys("builder", {
    "mod+s": save,
    ...undoKeys(session, saving !== undefined),
    "mod+b": fold,
    t: () => setPanel("text"),
    p: () => setPanel("task"),
    r: () => setPanel("run"),
  });
  useOffered([
    { id: "save", label: say("builder.save"), keys: "Ctrl S", run: save },
    { id: "run", label: say("builder.run"), keys: "R", run: () => setPanel("run") },
    { id: "text", label: say("builder.text"), keys: "T", run: () => setPanel("text") },
  ]);
  return (
    <>
      <PageHeader
        title={name || say("builder.unnamed")}
        beside={<SaveWord />}
        actions={
          <>
            <MoreMenu />
            <Button onClick={() => setPanel("run")}>{say("builder.run")}</Button>
            <Button kind="primary" onClick={save}>
              {say("builder.save")}
            </Button>
          </>
        }
      >
        <Banner opened={opened} />
      </PageHeader>
      <div className={frame.split}>
        {palette && <PalettePanel />}
        <div className={styles.centre}>
          <Levels />
          <Stage fold={fold} />
          <FindingsBar />
        </div>
        <Splitter width={width} setWidth={setWidth} label={say("builder.width")} />
        <div className={styles.side} style={{ width }}>
          <Tabs
            label={say("builder.panels")}
            tabs={[
              { id: "text", label: say("builder.text") },
              { id: "task", label: say("builder.properties") },
              { id: "run", label: say("builder.run") },
              { id: "tests", label: say("builder.tests") },
            ]}
            chosen={panel}
            choose={setPanel}
          />
          <TabPanel tab={panel} className={styles.panel}>
            <EditorPane hidden={panel !== "text"} />
            {panel === "task" && <Inspector />}
            {panel === "tests" && <TestPanel />}
            {panel === "run" && <RunPanel save={saveFirst} />}
          </TabPanel>
        </div>
      </div>
      {saving && <SaveDialog close={() => close()} saved={close} />}
    </>
  );
}
