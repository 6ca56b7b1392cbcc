import { useQuery } from "@tanstack/react-query";
import { Columns3, ListFilter } from "lucide-react";
import {
  type KeyboardEvent,
  lazy,
  type RefObject,
  Suspense,
  useEffect,
  useId,
  useMemo,
  useState,
} from "react";
import { asProblem } from "@/api/problems";
import type { ListSearch } from "@/app/routes";
import { Button } from "@/design/primitives";
import { type Completion, completions, filterOf } from "@/model/filter";
import { say } from "@/model/messages";
import type { Columns } from "./columns";
import styles from "./filterBar.module.css";
import { DEFAULT_RANGE, facetQuery, isArchive, RANGES, rangeOf } from "./queries";

const ColumnMenu = lazy(() => import("./columnMenu"));

interface Props {
  columns: Columns;
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
  input: RefObject<HTMLInputElement | null>;
  error: unknown;
}

/** The filter with completion, the bound of time, and the choice of columns. */
export function FilterBar({ columns, search, change, input, error }: Props) {
  const problem = error ? asProblem(error) : undefined;
  const refused = problem && problem.status === 400 ? problem.message : undefined;
  return (
    <search className={styles.bar}>
      {!isArchive(search) && (
        <FilterInput search={search} change={change} input={input} error={refused} />
      )}
      <select
        className={styles.range}
        aria-label={say("executions.startedIn")}
        value={search.from ? "custom" : rangeOf(search).id}
        onChange={(event) => {
          const range = event.target.value;
          change({
            range: range === DEFAULT_RANGE ? undefined : range,
            from: undefined,
            to: undefined,
          });
        }}
      >
        {search.from && <option value="custom">{say("executions.chosen")}</option>}
        {RANGES.map((range) => (
          <option key={range.id} value={range.id}>
            {range.label}
          </option>
        ))}
      </select>
      <ColumnButton {...columns} />
    </search>
  );
}

/** The choice of columns, whose menu is loaded when it is wanted. */
function ColumnButton(columns: Columns) {
  const [wanted, setWanted] = useState(false);
  const button = (
    <Button
      icon={<Columns3 size={14} />}
      aria-haspopup="menu"
      aria-expanded={false}
      onClick={() => setWanted(true)}
    >
      {say("executions.columns")}
    </Button>
  );
  return wanted ? (
    <Suspense fallback={button}>
      <ColumnMenu {...columns} />
    </Suspense>
  ) : (
    button
  );
}

function FilterInput({
  search,
  change,
  input,
  error,
}: Omit<Props, "error" | "columns"> & { error: string | undefined }) {
  const [text, setText] = useState(search.q ?? "");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const list = useId();
  useEffect(() => setText(search.q ?? ""), [search.q]);
  const workflows = useQuery({ ...facetQuery({}, "workflow"), enabled: open });
  const shown = useMemo(() => {
    if (!open) return [];
    const names = workflows.data?.groups.map((group) => group.values.workflow ?? "") ?? [];
    return completions(text, { workflow: names });
  }, [open, text, workflows.data]);
  const apply = (value: string) => {
    setOpen(false);
    change({ q: filterOf(value) || undefined });
  };
  const take = (completion: Completion) => {
    setText(text.slice(0, completion.from) + completion.text);
    setActive(0);
  };
  const keys = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    const chosen = shown[active];
    if (step && shown.length > 0) setActive((active + step + shown.length) % shown.length);
    else if (event.key === "Tab" && chosen && open && text) take(chosen);
    else if (event.key === "Enter") apply(text);
    else if (event.key === "Escape" && open) setOpen(false);
    else if (event.key === "Escape") input.current?.blur();
    else return;
    event.preventDefault();
  };
  return (
    <div className={styles.filter}>
      <ListFilter size={14} aria-hidden />
      <input
        ref={input}
        role="combobox"
        aria-label={say("executions.filterName")}
        aria-expanded={open && shown.length > 0}
        aria-controls={list}
        aria-activedescendant={open && shown.length > 0 ? `${list}-${active}` : undefined}
        aria-invalid={error ? true : undefined}
        aria-errormessage={error ? `${list}-error` : undefined}
        spellCheck={false}
        autoComplete="off"
        placeholder={'status = failed AND workflow = "orders"'}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={keys}
      />
      {text && (
        <button type="button" className={styles.clear} onClick={() => apply("")}>
          {say("executions.clearText")}
        </button>
      )}
      <div
        id={list}
        role="listbox"
        aria-label={say("executions.completions")}
        className={styles.completions}
        hidden={!open || shown.length === 0}
      >
        {shown.map((completion, index) => (
          <div
            key={completion.text}
            id={`${list}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            onPointerDown={(event) => {
              event.preventDefault();
              take(completion);
            }}
          >
            <code>{completion.text}</code>
            <small>{completion.hint}</small>
          </div>
        ))}
      </div>
      {error && (
        <p id={`${list}-error`} role="alert" className={styles.error}>
          {error}
        </p>
      )}
    </div>
  );
}
