import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { Optimization } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { TextDiff } from "@/values/textDiff";
import { useSession } from "./session";

/** Proposals of the optimizer for the stored workflow, and the text with all of their edits. */
export function ProposalsDialog({ close }: { close: () => void }) {
  const session = useSession();
  const name = session.draft.workflow;
  const found = useQuery({
    queryKey: ["optimize", name],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/optimize", { path: { name }, signal }),
    retry: false,
  });
  const edits = found.data?.proposals.some((each) => each.edits) ?? false;
  const accept = () => {
    session.editor?.apply(found.data?.source ?? "");
    close();
  };
  return (
    <ActionDialog
      wide
      title={say("builder.proposals")}
      label={edits ? say("builder.acceptProposals") : undefined}
      close={close}
      act={accept}
    >
      {found.isPending && <p className="muted">{say("builder.analyzing")}</p>}
      {found.error && <Problem error={found.error} />}
      {found.data && <Proposals found={found.data} />}
      {found.data && edits && <TextDiff before={session.text} after={found.data.source} />}
    </ActionDialog>
  );
}

function Proposals({ found }: { found: Optimization }) {
  const { proposals, replays, verified, version, executions } = found;
  return (
    <>
      <p className="muted">{say("builder.analyzed", { version, executions })}</p>
      {proposals.length === 0 && <p>{say("builder.noProposals")}</p>}
      <ul>
        {proposals.map((each) => (
          <li key={`${each.kind} ${each.task}`}>
            <strong>{each.task}</strong>{" "}
            {each.gainMs > 0 && say("builder.saves", { ms: Math.round(each.gainMs) })} {each.text}
            <div className="muted">{each.evidence}</div>
          </li>
        ))}
      </ul>
      {replays.length > 0 && (
        <p>
          {say(verified ? "builder.replaysSame" : "builder.replaysDiffer", {
            count: replays.length,
          })}
        </p>
      )}
    </>
  );
}
