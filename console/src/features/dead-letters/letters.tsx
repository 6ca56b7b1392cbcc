import { Link } from "@tanstack/react-router";
import type { DeadLetterValue } from "@/api/schema";
import frame from "@/design/page.module.css";
import { Button, Time } from "@/design/primitives";
import cards from "@/design/table.module.css";
import { say } from "@/model/messages";
import { shownText } from "@/values/text";
import styles from "./page.module.css";

interface Props {
  letters: readonly DeadLetterValue[];
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
  edit: (letter: DeadLetterValue) => void;
}

/** The table of dead letters; a row selects its execution. */
export function Letters({ letters, selected, select, edit }: Props) {
  const all = new Set(letters.map((each) => each.executionId));
  const whole = [...all].every((id) => selected.has(id));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    select(next);
  };
  return (
    <table className={`${cards.cards} ${frame.rows} ${styles.letters}`}>
      <thead>
        <tr>
          <td>
            <input
              type="checkbox"
              aria-label={say("letters.selectAll")}
              checked={whole}
              onChange={() => select(whole ? new Set() : all)}
            />
          </td>
          <th>{say("letters.task")}</th>
          <th>{say("letters.workflow")}</th>
          <th>{say("letters.error")}</th>
          <th>{say("letters.attempts")}</th>
          <th>{say("letters.queue")}</th>
          <th>{say("letters.failed")}</th>
          <th>{say("letters.execution")}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {letters.map((letter) => (
          <Row
            key={`${letter.executionId} ${letter.task}`}
            letter={letter}
            picked={selected.has(letter.executionId)}
            toggle={() => toggle(letter.executionId)}
            edit={() => edit(letter)}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  letter: DeadLetterValue;
  picked: boolean;
  toggle: () => void;
  edit: () => void;
}

function Row({ letter, picked, toggle, edit }: RowProps) {
  const { executionId, task, error } = letter;
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          aria-label={say("letters.select", { task, execution: executionId })}
          checked={picked}
          onChange={toggle}
        />
      </td>
      <td data-head={say("letters.task")}>
        <bdi>{task}</bdi>
      </td>
      <td data-head={say("letters.workflow")}>
        <bdi>{letter.workflow}</bdi>
      </td>
      <td
        data-head={say("letters.error")}
        className={`${styles.error} truncate`}
        title={error.message}
      >
        <b>{error.class}</b> <bdi>{shownText(error.message)}</bdi>
      </td>
      <td data-head={say("letters.attempts")} className="numbers">
        {letter.attempts}
      </td>
      <td data-head={say("letters.queue")}>
        <bdi>{letter.queue}</bdi>
      </td>
      <td data-head={say("letters.failed")} className="muted">
        <Time at={letter.failedAt} />
      </td>
      <td data-head={say("letters.execution")} className="mono">
        <Link to="/executions/$executionId" params={{ executionId }} search={{ node: task }}>
          {executionId}
        </Link>
      </td>
      <td>
        <Button small onClick={edit}>
          {say("letters.edit")}
        </Button>
      </td>
    </tr>
  );
}
