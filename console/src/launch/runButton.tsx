import { lazy, Suspense, useState } from "react";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";

const RunDialog = lazy(() => import("./runDialog"));

interface Props {
  workflow: string;
  small?: boolean;
}

/** The button that asks for the input of a workflow and starts it. */
export function RunButton({ workflow, small = false }: Props) {
  // An address ends with #run where the form is wanted at once.
  const [open, setOpen] = useState(() => !small && location.hash === "#run");
  return (
    <>
      <Button small={small} kind={small ? "plain" : "primary"} onClick={() => setOpen(true)}>
        {say("run.run")}
      </Button>
      {open && (
        <Suspense>
          <RunDialog workflow={workflow} close={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
