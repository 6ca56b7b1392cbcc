import { useState } from "react";
import { runTests } from "@/api/definitions";
import type { TestResults } from "@/api/schema";
import { AreaField } from "@/design/fields";
import { Button, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import styles from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import { useSession } from "./session";
import { useBuilder } from "./store";

const TESTS = "flowmesh.builder.tests.";

const FIRST = `tests:
  - name: it completes
    input: {}
    expect:
      status: completed
`;

/** Tests of the draft, as of a test file: each is a dry run with what is expected of it. */
export function TestPanel() {
  const session = useSession();
  const { workflow, fault } = useBuilder();
  const key = TESTS + (workflow?.name ?? "");
  const [tests, setTests] = useState(() => localStorage.getItem(key) ?? FIRST);
  const [results, setResults] = useState<TestResults>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const write = (text: string) => {
    setTests(text);
    localStorage.setItem(key, text);
  };
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      setResults(await runTests(session.text, tests, workflow?.name ?? ""));
    } catch (raised) {
      setResults(undefined);
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className={styles.panel} aria-label={say("builder.tests")}>
      <Field label={say("builder.testFile")}>
        {({ id }) => (
          <input
            id={id}
            type="file"
            accept=".yaml,.yml,.json"
            onChange={(event) => void event.target.files?.[0]?.text().then(write)}
          />
        )}
      </Field>
      <AreaField
        label={say("builder.testText")}
        hint={say("builder.testHint")}
        className={styles.source}
        rows={14}
        spellCheck={false}
        value={tests}
        change={write}
      />
      <div className={styles.actions}>
        <Button kind="primary" disabled={busy || !!fault} onClick={() => void run()}>
          {say("builder.runTests")}
        </Button>
      </div>
      {error !== undefined && <Problem error={error} title={say("builder.notRun")} />}
      {results && <Results results={results} />}
    </section>
  );
}

function Results({ results }: { results: TestResults }) {
  const { tests, problems, coverage } = results;
  const failed = tests.filter((each) => !each.passed).length;
  return (
    <section aria-label={say("builder.testResults")}>
      <h2 role="status">
        {problems.length > 0
          ? say("builder.testsWrong")
          : say("builder.testsRan", { passed: tests.length - failed, failed })}
      </h2>
      <ul className={styles.nodes}>
        {problems.map((each) => (
          <li key={`${each.path} ${each.message}`} data-family="failed">
            {each.line ? `${each.line}: ` : ""}
            {each.message}
          </li>
        ))}
        {tests.map((each) => (
          <li key={each.line} data-family={each.passed ? "success" : "failed"}>
            {each.passed ? "✔" : "✘"} {each.name}
            {each.failures.map((failure) => (
              <p key={failure}>{failure}</p>
            ))}
          </li>
        ))}
      </ul>
      {tests.length > 0 && (
        <p className="muted">
          {say("builder.coverage", { percent: coverage.percent })}{" "}
          {coverage.missed.length > 0 &&
            say("builder.missed", { names: coverage.missed.join(", ") })}
        </p>
      )}
    </section>
  );
}
