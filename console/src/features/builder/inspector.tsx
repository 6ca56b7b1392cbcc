import { useMemo } from "react";
import { Button, Fold } from "@/design/primitives";
import { findingsOf, fixesOf, placeOfFinding } from "@/editing/diagnostics";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { Json, JsonSchema } from "@/model/schema";
import { update } from "@/text/edits";
import { freeId, removeTasks, wrapTasks } from "@/text/operations";
import { simplified } from "@/text/schemas";
import type { Place } from "@/text/source";
import type { Task } from "@/text/workflow";
import { SchemaForm } from "@/values/schemaForm";
import { TemplateScope } from "@/values/templates";
import { scopeNames, useLibrary, useSchema } from "./completion";
import { EdgePanel } from "./edgePanel";
import { KindIcon, kindWord } from "./kinds";
import { useSession } from "./session";
import { showLevels, useBuilder } from "./store";
import { AfterList, IdField, UndoField } from "./taskFields";
import { InputForm, ResourceForm } from "./taskForms";

/** The properties of the selected task, edge or workflow, by forms of their schemas. */
export function Inspector() {
  const { selected, edge, tasks, workflow, fault, readOnly } = useBuilder();
  const task = tasks.find((each) => each.id === selected[0]);
  const schema = useSchema("workflow");
  const kind = task?.kind;
  const forms = useMemo(() => (schema && kind ? formsOf(schema, kind) : undefined), [schema, kind]);
  if (fault || readOnly) {
    return (
      <p className={styles.empty}>
        {readOnly ?? say("builder.faulty", { line: fault?.line ?? 1 })}
      </p>
    );
  }
  if (workflow && workflow.format !== "native") {
    return <p className={styles.empty}>{say("builder.foreign", { format: workflow.format })}</p>;
  }
  if (edge) return <EdgePanel edge={edge} />;
  if (selected.length > 1) return <SeveralPanel ids={selected} />;
  return task ? <TaskPanel key={task.id} task={task} forms={forms} /> : <WorkflowPanel />;
}

const OWN = ["id", "dependsOn", "input", "taskRef", "undo"];
/** First among the rest, which is open where one of them is set. */
const OFTEN = ["onFailure", "timeout", "retry"];
const FIRST = ["name", "condition"];

function TaskPanel({ task, forms }: { task: Task; forms: Forms | undefined }) {
  const session = useSession();
  const { tasks, levels } = useBuilder();
  const library = useLibrary();
  const { text, workflow, outputs, input } = useBuilder();
  const of = [library, text, workflow, task.id, outputs, input];
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names follow of the text and a run
  const names = useMemo(() => scopeNames(library), of);
  const found = useFieldFindings(task.place);
  const edit = (value: Json | undefined) =>
    session.edit((text_) => update(text_, task.place, task.value, value), true);
  const open = (path: Task["inner"][number]) =>
    showLevels([...levels, { id: task.id, path: [task.place.path.at(-1) as number, ...path] }]);
  return (
    <TemplateScope.Provider value={names}>
      <section className={styles.panel} aria-label={say("builder.taskOfName", { id: task.id })}>
        <h2>
          <KindIcon kind={task.kind} /> {kindWord(task.kind)}
          {task.ref && <code>{task.ref}</code>}
        </h2>
        <FindingList place={task.place} />
        <IdField task={task} />
        <AfterList task={task} tasks={tasks} />
        {task.inner.map((path) => (
          <Button key={path.join(".")} small onClick={() => open(path)}>
            {say("builder.open", { path: path.join(".") })}
          </Button>
        ))}
        {task.kind === "taskRef" && <InputForm task={task} edit={edit} />}
        {task.kind === "taskRef" && <ResourceForm name={task.ref} />}
        {forms && (
          <SchemaForm
            schema={forms.first}
            value={task.value as Json}
            change={edit}
            checked={false}
            found={found}
          />
        )}
        {forms && (
          <Fold title={say("builder.more")} open={OFTEN.some((name) => name in task.value)}>
            <SchemaForm
              schema={forms.more}
              value={task.value as Json}
              change={edit}
              checked={false}
              found={found}
            />
          </Fold>
        )}
        <UndoField task={task} edit={edit} />
        <div className={styles.actions}>
          <Button
            small
            onClick={() => {
              useBuilder.setState({ panel: "text" });
              session.reveal(task.place, true);
            }}
          >
            {say("builder.showText")}
          </Button>
          <Wrap ids={[task.id]} />
          <Button
            small
            kind="danger"
            onClick={() => session.edit((text_, place) => removeTasks(text_, place, [task.id]))}
          >
            {say("builder.remove", { count: 1 })}
          </Button>
        </div>
      </section>
    </TemplateScope.Provider>
  );
}

/** The members of a task in two groups: those often changed, and the rest. */
interface Forms {
  first: JsonSchema;
  more: JsonSchema;
}

function formsOf(root: JsonSchema, kind: string): Forms {
  const defs = (root.$defs ?? {}) as Record<string, JsonSchema>;
  const body = kind in defs && kind !== "undo" ? defs[kind] : defs.task;
  const all = (simplified(body, root).properties ?? {}) as Record<string, JsonSchema>;
  const inner = all[kind];
  const shown: Record<string, JsonSchema> = { ...all };
  if (inner?.properties) {
    const { tasks: _, ...properties } = inner.properties as Record<string, JsonSchema>;
    shown[kind] = { ...inner, properties };
  }
  const pick = (names: readonly string[]): JsonSchema => ({
    type: "object",
    properties: Object.fromEntries(
      names.flatMap((each) => (shown[each] ? [[each, shown[each]]] : [])),
    ),
  });
  const others = ["decision", "subworkflow", "continueAsNew", "wait", "approval"];
  const first = kind === "taskRef" ? FIRST : [kind, ...FIRST];
  const hidden = new Set([...OWN, ...first, ...others]);
  const rest = Object.keys(shown).filter((each) => !hidden.has(each) && !OFTEN.includes(each));
  return { first: pick(first), more: pick([...OFTEN, ...rest]) };
}

/** The findings within a place, by JSON pointer below it. */
function useFieldFindings(place: Place): ReadonlyMap<string, string> {
  const { findings, source } = useBuilder();
  return useMemo(() => {
    const found = new Map<string, string>();
    for (const finding of findings) {
      const at = placeOfFinding(finding, source);
      const inside =
        at.doc === place.doc && place.path.every((key, depth) => at.path[depth] === key);
      if (!inside) continue;
      const rest = at.path
        .slice(place.path.length)
        .map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`);
      found.set(rest.join(""), finding.message);
    }
    return found;
  }, [findings, source, place]);
}

/** The findings of a task, each with its repairs. */
function FindingList({ place }: { place: Place }) {
  const session = useSession();
  const { findings, source, tasks } = useBuilder();
  const own = useMemo(() => {
    const task = tasks.find((each) => each.place.path.at(-1) === place.path.at(-1));
    return (task && findingsOf(findings, tasks, source).get(task.id)) ?? [];
  }, [findings, tasks, source, place]);
  if (own.length === 0) return null;
  return (
    <ul className={styles.findings}>
      {own.map((finding) => (
        <li
          key={`${finding.code} ${finding.path} ${finding.message}`}
          data-severity={finding.severity}
        >
          {finding.message}
          {fixesOf(finding, { source }).map(({ name, act }) => (
            <Button key={name} small onClick={() => session.edit((text) => act(text))}>
              {name}
            </Button>
          ))}
        </li>
      ))}
    </ul>
  );
}

const BODIES: Record<string, Record<string, unknown>> = {
  group: {},
  map: { items: "{{input.items}}" },
  loop: { while: "state.round < 3", state: { round: 0 } },
};

function Wrap({ ids }: { ids: readonly string[] }) {
  const session = useSession();
  const wrap = (kind: string) =>
    session.edit((text, place) => {
      const id = freeId(useBuilder.getState().tasks, kind);
      return wrapTasks(text, place, ids, { id, kind, members: BODIES[kind] ?? {} });
    });
  return Object.keys(BODIES).map((kind) => (
    <Button key={kind} small onClick={() => wrap(kind)}>
      {say("builder.wrap", { kind: kindWord(kind) })}
    </Button>
  ));
}

function SeveralPanel({ ids }: { ids: readonly string[] }) {
  const session = useSession();
  return (
    <section className={styles.panel} aria-label={say("builder.several", { count: ids.length })}>
      <h2>{say("builder.several", { count: ids.length })}</h2>
      <p className="muted">{ids.join(", ")}</p>
      <div className={styles.actions}>
        <Wrap ids={ids} />
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text, place) => removeTasks(text, place, ids))}
        >
          {say("builder.remove", { count: ids.length })}
        </Button>
      </div>
    </section>
  );
}

const WORKFLOW_FIRST = ["description", "inputSchema", "output", "timeout", "parallelism"];

function WorkflowPanel() {
  const session = useSession();
  const { workflow } = useBuilder();
  const schema = useSchema("workflow");
  const forms = useMemo(() => {
    const spec = schema && ((schema.properties as Record<string, JsonSchema>).spec as JsonSchema);
    const all = spec && (simplified(spec, schema).properties as Record<string, JsonSchema>);
    if (!all) return undefined;
    const { tasks: _, ...rest } = all;
    const pick = (names: readonly string[]) => ({
      type: "object",
      properties: Object.fromEntries(names.map((each) => [each, rest[each] ?? {}])),
    });
    const more = Object.keys(rest).filter((each) => !WORKFLOW_FIRST.includes(each));
    return { first: pick(WORKFLOW_FIRST), more: pick(more) };
  }, [schema]);
  if (!workflow) return <p className={styles.empty}>{say("builder.noWorkflow")}</p>;
  const place = { doc: workflow.doc, path: ["spec"] };
  const spec = workflow.value.spec as Json | undefined;
  const edit = (value: Json | undefined) =>
    session.edit((text) => update(text, place, spec, value), true);
  const name = (value: Json | undefined) =>
    session.edit((text) => {
      const at = { doc: workflow.doc, path: ["metadata"] };
      return update(text, at, workflow.value.metadata, value);
    }, true);
  return (
    <section className={styles.panel} aria-label={say("builder.workflow")}>
      <h2>{say("builder.workflow")}</h2>
      <SchemaForm
        schema={METADATA}
        value={workflow.value.metadata as Json}
        change={name}
        checked={false}
      />
      {forms && <SchemaForm schema={forms.first} value={spec} change={edit} checked={false} />}
      {forms && (
        <Fold title={say("builder.more")}>
          <SchemaForm schema={forms.more} value={spec} change={edit} checked={false} />
        </Fold>
      )}
    </section>
  );
}

const METADATA: JsonSchema = {
  type: "object",
  required: ["name"],
  properties: { name: { type: "string" } },
};
