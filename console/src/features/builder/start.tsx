import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { TemplateAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { ActionDialog } from "@/design/actionDialog";
import { Button, Empty, Skeleton, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { DraftList } from "@/editing/draftList";
import styles from "@/editing/page.module.css";
import { say } from "@/model/messages";
import { initialOf, type Json, type JsonSchema } from "@/model/schema";
import type { Draft } from "@/text/drafts";
import { SchemaForm } from "@/values/schemaForm";
import { ImportDialog } from "./importDialog";

interface Props {
  /** The template to begin from, by name. */
  template: string | undefined;
  begin: (text: string) => void;
  resume: (draft: Draft) => void;
}

export const BLANK = `apiVersion: workflow.io/v1
kind: Workflow
metadata:
  name: new-workflow
spec:
  tasks:
    - id: start
      taskRef: noop
`;

/** The ways to begin: a template, a blank workflow, an imported text, a draft of this browser. */
export function StartPage({ template, begin, resume }: Props) {
  const [chosen, setChosen] = useState<TemplateAnswer>();
  const [importing, setImporting] = useState(false);
  const templates = useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => read("/api/v1/templates", { query: { pageSize: 100 }, signal }),
  });
  const named = templates.data?.templates.find((each) => each.name === template);
  const shown = chosen ?? named;
  const navigate = useNavigate();
  const close = () => {
    setChosen(undefined);
    if (template) void navigate({ to: "/workflows/new" });
  };
  return (
    <>
      <PageHeader title={say("builder.new")} />
      <div className={styles.start}>
        <div className={styles.ways}>
          <Button kind="primary" onClick={() => begin(BLANK)}>
            {say("builder.blank")}
          </Button>
          <Button onClick={() => setImporting(true)}>{say("builder.import")}</Button>
        </div>
        <DraftList unnamed={say("builder.unnamed")} resume={resume} />
        <section aria-label={say("builder.templates")}>
          <h2>{say("builder.templates")}</h2>
          {templates.isPending && <Skeleton rows={4} />}
          {templates.isError && <Problem error={templates.error} />}
          {templates.data?.templates.length === 0 && <Empty title={say("builder.noTemplates")} />}
          <ul className={styles.cards}>
            {templates.data?.templates.map((each) => (
              <li key={each.name}>
                <button type="button" onClick={() => setChosen(each)}>
                  <strong>{each.name}</strong>
                  <span className="muted">{each.description}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      </div>
      {shown && <TemplateDialog key={shown.name} template={shown} close={close} begin={begin} />}
      {importing && <ImportDialog close={() => setImporting(false)} take={begin} />}
    </>
  );
}

interface TemplateProps {
  template: TemplateAnswer;
  close: () => void;
  begin: (text: string) => void;
}

/** The parameters of a template as a form; its text becomes the draft. */
export function TemplateDialog({ template, close, begin }: TemplateProps) {
  const schema = (template.parameters ?? {}) as JsonSchema;
  const [name, setName] = useState(template.name);
  const [parameters, setParameters] = useState<Json | undefined>(() => initialOf(schema, schema));
  const [checked, setChecked] = useState(false);
  const make = async () => {
    setChecked(true);
    const made = await write("POST /api/v1/templates/{name}:instantiate", {
      path: { name: template.name },
      body: { name, parameters: (parameters ?? {}) as Record<string, unknown>, dryRun: true },
    });
    begin(made.source);
  };
  return (
    <ActionDialog
      wide
      title={template.name}
      label={say("builder.useTemplate")}
      failed={say("builder.notMade")}
      close={close}
      act={make}
    >
      <p className="muted">{template.description}</p>
      <TextField label={say("builder.nameOfNew")} value={name} change={setName} />
      <SchemaForm schema={schema} value={parameters} change={setParameters} checked={checked} />
    </ActionDialog>
  );
}
