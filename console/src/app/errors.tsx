import { Link } from "@tanstack/react-router";
import { Empty } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { PageHeader } from "./pageHeader";

/** A page that failed while it was drawn; the others go on. */
export function Crashed({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <>
      <PageHeader title="This page has failed" />
      <Problem error={error} retry={reset} title="The page could not be drawn" />
    </>
  );
}

export function NotFoundPage() {
  return (
    <>
      <PageHeader title="No such page" />
      <Empty title="There is no page at this address">
        <p>The link may be of another version, or cut off.</p>
        <Link to="/executions">Show all executions</Link>
      </Empty>
    </>
  );
}
