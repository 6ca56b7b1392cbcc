import type { UseQueryResult } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, Fragment, useState } from "react";
import { newKey, read, write } from "@/api/client";
import type { ExecutionAnswer, Rerun } from "@/api/schema";
import { ReasonField } from "@/design/actionDialog";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { JsonField } from "./jsonField";
import styles from "./page.module.css";
import { type Choices, type Mode, scopeOf } from "./plan";

const MODES: readonly Mode[] = ["failed", "nodes", "all"];
/** A larger input is not put into a field; it stays as it was unless another is given. */
const EDIT_CHARS_MAX = 200_000;

interface Props {
  execution: ExecutionAnswer;
  choices: Choices;
  plan: UseQueryResult<Rerun>;
}

interface Draft {
  input: string;
  nodeInputs: Readonly<Record<string, string>>;
  reason: string;
}

/** What runs again and with which input; the button names the number of tasks. */
export function RerunForm({ execution, choices, plan }: Props) {
  const { executionId } = execution;
  const [before] = useState(() => editable(execution.input));
  const [draft, setDraft] = useState<Draft>({ input: before, nodeInputs: {}, reason: "" });
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const navigate = useNavigate();
  const nodes = plan.data?.nodes.filter((each) => !each.reused) ?? [];
  const faulty = [draft.input, ...Object.values(draft.nodeInputs)].some((text) => !isJson(text));
  const nothing = choices.mode === "nodes" && choices.nodes.length === 0;
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const answer = await write("POST /api/v1/executions/{executionId}:rerun", {
        path: { executionId },
        body: { ...scopeOf(choices), ...inputsOf(draft, before), reason: draft.reason },
        key,
      });
      if (answer.executionId) {
        const params = { executionId: answer.executionId };
        void navigate({ to: "/executions/$executionId", params });
      }
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <form className={styles.form} onSubmit={send} aria-label={say("rerun.form")}>
      <Scope execution={execution} choices={choices} />
      <p role="status" className={styles.plan} data-testid="plan">
        {nothing ? say("rerun.choose") : summary(plan.data)}
      </p>
      {plan.isError && <Problem error={plan.error} retry={() => void plan.refetch()} />}
      <JsonField
        label={say("rerun.input")}
        hint={before ? say("rerun.inputHint") : say("rerun.inputLarge")}
        value={draft.input}
        before={before}
        change={(input) => setDraft({ ...draft, input })}
      />
      <NodeInputs executionId={executionId} choices={choices} draft={draft} change={setDraft} />
      <ReasonField
        hint={say("rerun.reasonHint")}
        value={draft.reason}
        change={(text) => setDraft({ ...draft, reason: text })}
      />
      {error !== undefined && <Problem error={error} title={say("rerun.notStarted")} />}
      <div className={styles.buttons}>
        <Link to="/executions/$executionId" params={{ executionId }} className="boxed">
          {say("action.back")}
        </Link>
        <Button
          type="submit"
          kind="primary"
          disabled={busy || faulty || nothing || !plan.data || !draft.reason.trim()}
        >
          {buttonText(choices, nodes.length)}
        </Button>
      </div>
    </form>
  );
}

function Scope({ execution, choices }: Pick<Props, "execution" | "choices">) {
  const { mode, setMode, nodes, toggle, newest, setNewest } = choices;
  const failed = Object.values(execution.tasks).some((task) => task.status === "failed");
  return (
    <fieldset className={styles.scope}>
      <legend>{say("rerun.scope")}</legend>
      {MODES.map((each) => (
        <Fragment key={each}>
          <label data-off={(each === "failed" && !failed) || undefined}>
            <input
              type="radio"
              name="mode"
              checked={mode === each}
              disabled={each === "failed" && !failed}
              onChange={() => setMode(each)}
            />
            {say(`rerun.${each}`)}
          </label>
          {each === "nodes" && mode === "nodes" && (
            <p className={styles.chosen}>
              {nodes.length === 0 && <span className="muted">{say("rerun.click")}</span>}
              {nodes.map((node) => (
                <Button key={node} small onClick={() => toggle(node)}>
                  {node} ×
                </Button>
              ))}
            </p>
          )}
        </Fragment>
      ))}
      <label>
        <input type="checkbox" checked={newest} onChange={() => setNewest(!newest)} />
        {say("rerun.newest")}
      </label>
    </fieldset>
  );
}

interface NodeInputsProps {
  executionId: string;
  choices: Choices;
  draft: Draft;
  change: (draft: Draft) => void;
}

/** The inputs of the chosen tasks, each as it was until it is edited. */
function NodeInputs({ executionId, choices, draft, change }: NodeInputsProps) {
  const [error, setError] = useState<unknown>();
  const inputs = draft.nodeInputs;
  const set = (node: string, text: string | undefined) => {
    const { [node]: _gone, ...others } = inputs;
    change({ ...draft, nodeInputs: text === undefined ? others : { ...others, [node]: text } });
  };
  const edit = async (node: string) => {
    setError(undefined);
    try {
      const path = { executionId, node };
      const found = await read("/api/v1/executions/{executionId}/nodes/{node}", { path });
      set(node, editable(found.input) || "null");
    } catch (raised) {
      setError(raised);
    }
  };
  if (choices.mode !== "nodes") return null;
  return (
    <>
      {choices.nodes.map((node) =>
        inputs[node] === undefined ? (
          <Button key={node} small onClick={() => void edit(node)}>
            {say("rerun.editNode", { task: node })}
          </Button>
        ) : (
          <JsonField
            key={node}
            label={say("rerun.nodeInput", { task: node })}
            hint={say("rerun.nodeHint")}
            value={inputs[node]}
            change={(text) => set(node, text)}
            remove={() => set(node, undefined)}
          />
        ),
      )}
      {error !== undefined && <Problem error={error} />}
    </>
  );
}

function summary(plan: Rerun | undefined): string {
  if (!plan) return say("rerun.planning");
  const again = plan.nodes.filter((each) => !each.reused).length;
  return say("rerun.plan", {
    again,
    reused: plan.nodes.length - again,
    version: String(plan.version),
    effects: plan.repeatedEffects,
  });
}

function buttonText({ mode, nodes }: Choices, count: number): string {
  if (mode === "nodes" && nodes.length === 1) {
    return say("rerun.goFrom", { count, task: nodes[0] ?? "" });
  }
  return say("rerun.go", { count });
}

function inputsOf({ input, nodeInputs }: Draft, before: string) {
  const nodes = Object.entries(nodeInputs).map(([node, text]) => [node, JSON.parse(text)]);
  return {
    ...(input.trim() !== "" && input !== before && { input: JSON.parse(input) }),
    ...(nodes.length > 0 && { nodeInputs: Object.fromEntries(nodes) }),
  };
}

function editable(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2) ?? "";
  return text.length > EDIT_CHARS_MAX ? "" : text;
}

function isJson(text: string): boolean {
  if (!text.trim()) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
