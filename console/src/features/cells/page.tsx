import "../../../messages/cells";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useProjects } from "@/api/places";
import type {
  AdvisedMoveValue,
  CellAdvice,
  CellList,
  CellMoveValue,
  CellValue,
} from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { CopyButton, Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { Prose } from "@/design/prose";
import { Status } from "@/design/status";
import { type Column, Table } from "@/design/table";
import { bytes, count } from "@/model/durations";
import { say } from "@/model/messages";

const REFRESH_MS = 2_000;
/** Projects whose load one request reads. */
const PROJECTS_MAX = 50;
const DEFAULT = "default";

/** The cells with their loads, projects on their way, and moves that would even out the loads. */
export function CellsPage() {
  const query = useQuery({
    queryKey: ["cells"],
    queryFn: ({ signal }) => read("/api/v1/cells", { signal }),
    refetchInterval: ({ state }) => (isSeveral(state.data) ? REFRESH_MS : false),
  });
  return (
    <Page
      title={say("cells.title")}
      actions={
        <Link to="/projects" className="muted">
          {say("cells.projects")}
        </Link>
      }
    >
      <Loading query={query} rows={3} />
      {query.data && !isSeveral(query.data) && (
        <Empty title={say("cells.one")}>
          <Prose text={say("cells.oneHint")} />
        </Empty>
      )}
      {isSeveral(query.data) && <Cells {...query.data} />}
    </Page>
  );
}

function isSeveral(list: CellList | undefined): list is CellList {
  return (list?.cells.length ?? 0) > 1;
}

function Cells({ cells, moves }: CellList) {
  const advice = useAdvice();
  const { data } = advice;
  const advised = data?.moves ?? [];
  return (
    <>
      <Table
        title={say("cells.count", { count: cells.length })}
        columns={columnsOf(data)}
        rows={cells}
        keyOf={({ number }) => number}
      />
      {moves.length > 0 ? (
        <Table
          title={say("cells.moves", { count: moves.length })}
          columns={MOVES}
          rows={moves}
          keyOf={({ project }) => project}
        />
      ) : (
        <Empty title={say("cells.noMoves")}>
          <Prose text={say("cells.noMovesHint")} />
        </Empty>
      )}
      <Listing
        query={advice}
        expected={2}
        none={say(data?.loads.length ? "cells.even" : "cells.unread")}
        noneHint={say("cells.adviceHint")}
        title={say("cells.advice")}
        beside={data?.partial.length ? <Partial cells={data.partial} /> : null}
        columns={ADVICE}
        rows={advised}
        keyOf={({ project }) => project}
      />
    </>
  );
}

function Partial({ cells }: { cells: readonly string[] }) {
  return <span className="muted">{say("cells.partial", { cells: cells.join(", ") })}</span>;
}

/** The loads of the projects that the reader sees. */
function useAdvice() {
  const seen = useProjects();
  const projects = (seen.data ?? [])
    .map(({ namespace = DEFAULT }) => namespace)
    .filter((namespace) => namespace !== DEFAULT)
    .slice(0, PROJECTS_MAX);
  return useQuery({
    queryKey: ["cells", "advice", projects],
    enabled: !seen.isPending,
    queryFn: async ({ signal }): Promise<CellAdvice> =>
      projects.length > 0
        ? read("/api/v1/cells/advice", { query: { projects }, signal })
        : { loads: [], moves: [], partial: [] },
    retry: false,
  });
}

function columnsOf(advice: CellAdvice | undefined): readonly Column<CellValue>[] {
  return [
    {
      head: say("cells.cell"),
      cell: ({ name, own }) => (
        <>
          <strong>{name}</strong> {own && <span className="muted">{say("cells.own")}</span>}
        </>
      ),
    },
    { head: say("cells.number"), as: "numbers", cell: ({ number }) => number },
    { head: say("cells.region"), cell: ({ region }) => region },
    { head: say("cells.state"), cell: ({ state }) => <Status status={state} /> },
    { head: say("cells.named"), as: "numbers", cell: ({ projects }) => count(projects) },
    { head: say("cells.load"), as: "numbers", cell: ({ name }) => loadOf(name, advice) },
    { head: say("cells.http"), as: "id", cell: ({ http }) => http },
    { head: say("cells.grpc"), as: "id", cell: ({ grpc }) => grpc },
  ];
}

function loadOf(cell: string, advice: CellAdvice | undefined): string {
  const own = advice?.loads.filter((each) => each.cell === cell) ?? [];
  return own.length > 0 ? bytes(own.reduce((sum, each) => sum + each.bytes, 0)) : "–";
}

const STEPS: Record<CellMoveValue["step"], string> = {
  copying: say("cells.copying"),
  switching: say("cells.switching"),
  starting: say("cells.starting"),
  ending: say("cells.ending"),
};

const MOVES: readonly Column<CellMoveValue>[] = [
  { head: say("cells.project"), as: "id", cell: ({ project }) => project },
  { head: say("cells.from"), cell: ({ from }) => from },
  { head: say("cells.to"), cell: ({ to }) => to },
  { head: say("cells.step"), cell: ({ step }) => STEPS[step] },
];

const ADVICE: readonly Column<AdvisedMoveValue>[] = [
  { head: say("cells.project"), as: "id", cell: ({ project }) => project },
  { head: say("cells.from"), cell: ({ from }) => from },
  { head: say("cells.to"), cell: ({ to }) => to },
  { head: say("cells.load"), as: "numbers", cell: (move) => bytes(move.bytes) },
  { head: say("cells.command"), cell: (move) => <Command move={move} /> },
];

function Command({ move: { project, to } }: { move: AdvisedMoveValue }) {
  const command = `flowmesh cells move ${project} --to ${to}`;
  return (
    <>
      <code>{command}</code> <CopyButton text={command} label={say("cells.copy")} />
    </>
  );
}
