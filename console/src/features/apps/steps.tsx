import { useState } from "react";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { type AppStep, stepsOf } from "@/text/app";
import { addStep, moveItem } from "@/text/appEdits";
import { set } from "@/text/edits";
import { freeId } from "@/text/operations";
import type { Place } from "@/text/source";
import { Adder, followed, Movers, shiftBy } from "./ordered";
import styles from "./page.module.css";
import { useSession } from "./session";
import { StepForm } from "./stepForm";
import { showFlow, useComposer } from "./store";

/** The steps of a pipeline in their order, each with its form. */
export function Steps({ steps: place, title }: { steps: Place; title: string }) {
  const session = useSession();
  const { app, forms } = useComposer();
  const [opened, setOpened] = useState<string>();
  if (!app) return null;
  const steps = stepsOf(app, place);
  const types = Object.keys(forms).filter((each) => each.startsWith("step."));
  const add = (type: string) => {
    const name = freeId(steps, type.replace("step.", ""));
    if (session.edit((text) => addStep(text, place, { name, type }))) setOpened(name);
  };
  const shift = (from: number, to: number, list: Element | null) => {
    if (to < 0 || to >= steps.length) return;
    session.edit((text) => moveItem(text, place, from, to));
    followed(list, to);
  };
  return (
    <div>
      <ol className={styles.chain} aria-label={say("apps.stepsOf", { title })}>
        {steps.map((step, index) => (
          <li
            key={step.id}
            onKeyDown={(event) => {
              const list = event.currentTarget.parentElement;
              shiftBy(event, (by) => shift(index, index + by, list));
            }}
          >
            <StepRow
              step={step}
              place={index + 1}
              opened={opened === step.id}
              open={() => setOpened(opened === step.id ? undefined : step.id)}
            />
            <Movers
              name={step.id}
              up={index > 0 ? () => shift(index, index - 1, null) : undefined}
              down={index < steps.length - 1 ? () => shift(index, index + 1, null) : undefined}
              remove={() => session.edit((text) => set(text, step.place, undefined))}
            />
            {opened === step.id && (
              <div className={styles.stepForm}>
                <StepForm step={step} />
              </div>
            )}
          </li>
        ))}
      </ol>
      <span className={styles.below}>
        <Adder label={say("apps.addStep")} choices={types} add={add} />
        {steps.length > 0 && (
          <Button small onClick={() => showFlow({ title, steps: place })}>
            {say("apps.onCanvas")}
          </Button>
        )}
      </span>
    </div>
  );
}

interface RowProps {
  step: AppStep;
  place: number;
  opened: boolean;
  open: () => void;
}

function StepRow({ step, place, opened, open }: RowProps) {
  return (
    <button
      type="button"
      data-entry
      className={styles.stepRow}
      aria-expanded={opened}
      onClick={open}
    >
      <span className={styles.badge}>{place}</span>
      <code className="truncate">{step.id}</code>
      <span className="muted truncate">{step.type}</span>
    </button>
  );
}
