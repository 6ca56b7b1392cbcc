/** A workflow is started by a form of its input. */

import "../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { WorkflowAnswer } from "@/api/schema";
import { ActionForm } from "@/design/actionDialog";
import { Dialog } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { say } from "@/model/messages";
import { initialOf, problemsOf } from "@/model/schema";
import { inputSchemaOf, keep, kept } from "./input";
import { InputForm } from "./inputForm";

interface Props {
  workflow: string;
  close: () => void;
}

export default function RunDialog({ workflow, close }: Props) {
  const query = useQuery({
    queryKey: ["workflow", workflow],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}", { path: { name: workflow }, signal }),
  });
  return (
    <Dialog title={say("run.title", { workflow })} open wide onClose={close}>
      <Loading query={query} rows={3} />
      {query.data && <Form found={query.data} close={close} />}
    </Dialog>
  );
}

function Form({ found, close }: { found: WorkflowAnswer; close: () => void }) {
  const { name, version, definition } = found;
  const navigate = useNavigate();
  const [schema] = useState(() => inputSchemaOf(definition));
  const [input, setInput] = useState(() => kept(name) ?? initialOf(schema, schema));
  const wrong = problemsOf(schema, input ?? {}).size;
  const start = async (key: string) => {
    keep(name, input);
    const { executionId } = await write("POST /api/v1/workflows/{name}/start", {
      path: { name },
      body: { input: (input ?? {}) as Record<string, unknown> },
      key,
    });
    close();
    void navigate({ to: "/executions/$executionId", params: { executionId } });
  };
  return (
    <ActionForm
      label={say("run.start")}
      failed={say("run.notStarted")}
      disabled={wrong > 0}
      byEnter
      close={close}
      act={start}
    >
      <p className="muted">{say("run.about", { version })}</p>
      <InputForm schema={schema} value={input} change={setInput} />
    </ActionForm>
  );
}
