import { X } from "lucide-react";
import { useState } from "react";
import { SelectField } from "@/design/fields";
import { Button, IconButton, TextField } from "@/design/primitives";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { Json, JsonSchema } from "@/model/schema";
import type { AppModule } from "@/text/app";
import { connectModules, disconnectModules, removeModules, renameModule } from "@/text/appEdits";
import { moduleRefusal, namingOf } from "@/text/appRules";
import { update } from "@/text/edits";
import { SchemaForm } from "@/values/schemaForm";
import { ConfigForm } from "./configForm";
import { TypeIcon } from "./icons";
import { useSession } from "./session";
import { StepPanel } from "./stepForm";
import { select, useComposer } from "./store";

/** The properties of the selected module, step or edge, by forms of their schemas. */
export function Inspector() {
  const { selected, edge, app, steps, flow, fault, readOnly } = useComposer();
  if (fault || readOnly) {
    const reason = readOnly ?? say("builder.faulty", { line: fault?.line ?? 1 });
    return <p className={styles.empty}>{reason}</p>;
  }
  if (edge) return <EdgePanel from={edge.from} to={edge.to} />;
  const step = flow && steps.find((each) => each.id === selected[0]);
  if (step) return <StepPanel key={step.place.path.join(".")} step={step} />;
  const module = !flow && app?.modules.find((each) => each.id === selected[0]);
  if (module) return <ModulePanel key={module.place.path.join(".")} module={module} />;
  return <AppPanel />;
}

function ModulePanel({ module }: { module: AppModule }) {
  const session = useSession();
  return (
    <section className={styles.panel} aria-label={say("apps.moduleOf", { name: module.id })}>
      <h2>
        <TypeIcon type={module.type} /> <code>{module.type}</code>
      </h2>
      <NameField key={module.id} module={module} />
      <AfterList module={module} />
      <ConfigForm part={module} />
      <div className={styles.actions}>
        <Button
          small
          onClick={() => {
            useComposer.setState({ panel: "text" });
            session.reveal(module.place, true);
          }}
        >
          {say("builder.showText")}
        </Button>
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text, now) => removeModules(text, now, [module.id]))}
        >
          {say("apps.removeModule")}
        </Button>
      </div>
    </section>
  );
}

function NameField({ module }: { module: AppModule }) {
  const session = useSession();
  const forms = useComposer((state) => state.forms);
  const [name, setName] = useState(module.id);
  const rename = () => {
    const wanted = name.trim();
    if (wanted === module.id) return;
    const done = session.edit((text, now) =>
      renameModule(text, now, module.id, wanted, namingOf(forms)),
    );
    if (done) select([wanted]);
    else setName(module.id);
  };
  return (
    <TextField
      label={say("apps.name")}
      hint={say("apps.nameHint")}
      value={name}
      onBlur={rename}
      onKeyDown={(event) => event.key === "Enter" && rename()}
      change={setName}
    />
  );
}

/** The modules that one depends on: the edges of the canvas as a list. */
function AfterList({ module }: { module: AppModule }) {
  const session = useSession();
  const { app, forms } = useComposer();
  const modules = app?.modules ?? [];
  const free = modules.filter((each) => !moduleRefusal(modules, forms, each.id, module.id));
  return (
    <div className={styles.after}>
      <SelectField
        label={say("apps.dependsOn")}
        value=""
        change={(chosen) =>
          session.edit((text, now) => connectModules(text, now, chosen, module.id))
        }
      >
        <option value="" disabled>
          {say("apps.chooseModule")}
        </option>
        {free.map((each) => (
          <option key={each.id}>{each.id}</option>
        ))}
      </SelectField>
      <ul>
        {module.after.map(({ task }) => (
          <li key={task}>
            <code>{task}</code>
            <IconButton
              label={say("apps.notAfter", { name: task })}
              onClick={() =>
                session.edit((text, now) => disconnectModules(text, now, task, module.id))
              }
            >
              <X size={13} />
            </IconButton>
          </li>
        ))}
        {module.uses.map((each) => (
          <li key={each} className="muted">
            <code>{each}</code> {say("apps.byConfig")}
          </li>
        ))}
      </ul>
    </div>
  );
}

function EdgePanel({ from, to }: { from: string; to: string }) {
  const session = useSession();
  return (
    <section className={styles.panel} aria-label={say("builder.edgeTitle")}>
      <h2>{say("builder.edgeTitle")}</h2>
      <p>{say("apps.edge", { from, to })}</p>
      <div className={styles.actions}>
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text, now) => disconnectModules(text, now, from, to))}
        >
          {say("builder.removeEdge")}
        </Button>
      </div>
    </section>
  );
}

const APP_SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    name: { type: "string" },
    description: { type: "string" },
    imports: { type: "array", items: { type: "string" } },
  },
};

function AppPanel() {
  const session = useSession();
  const { app } = useComposer();
  if (!app) return <p className={styles.empty}>{say("apps.noApp")}</p>;
  const edit = (value: Json | undefined) =>
    session.edit((text) => update(text, { doc: 0, path: [] }, app.value, value), true);
  return (
    <section className={styles.panel} aria-label={say("apps.application")}>
      <h2>{say("apps.application")}</h2>
      <SchemaForm schema={APP_SCHEMA} value={app.value as Json} change={edit} checked={false} />
      <p className="muted">{say("apps.chooseHint")}</p>
    </section>
  );
}
