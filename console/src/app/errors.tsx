import { Link } from "@tanstack/react-router";
import { Button, Empty } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { PageHeader } from "./pageHeader";

/** Messages of browsers for a part of the page that the server does not have. */
const PART_GONE = /dynamically imported module|importing a module|module script/i;

/** A page that failed while it was drawn; the others continue. */
export function Crashed({ error, reset }: { error: unknown; reset: () => void }) {
  if (PART_GONE.test(String(error))) return <Outdated />;
  return (
    <>
      <PageHeader title={say("crash.title")} />
      <Problem error={error} retry={reset} title={say("crash.drawn")} />
    </>
  );
}

/** A part of the page is not on the server any more: another version is served. */
function Outdated() {
  return (
    <>
      <PageHeader title={say("crash.outdated")} />
      <Empty title={say("crash.outdatedTitle")}>
        <p>{say("crash.outdatedHint")}</p>
        <Button kind="primary" onClick={() => location.reload()}>
          {say("crash.reload")}
        </Button>
      </Empty>
    </>
  );
}

export function NotFoundPage() {
  return (
    <>
      <PageHeader title={say("crash.noPage")} />
      <Empty title={say("crash.noPageTitle")}>
        <p>{say("crash.noPageHint")}</p>
        <Link to="/executions">{say("execution.all")}</Link>
      </Empty>
    </>
  );
}
