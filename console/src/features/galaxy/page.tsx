import "../../../messages/numbers";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { useTopic } from "@/api/topics";
import { workflowMap } from "@/api/workflowMap";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import { TopologyPicture } from "@/canvas/topologyPicture";
import { ViewStrip } from "@/canvas/viewStrip";
import frame from "@/design/page.module.css";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Body, type Galaxy, galaxyOf, sunId } from "@/model/galaxy";
import { say } from "@/model/messages";
import { topologyOf } from "@/model/topology";
import { activityQuery } from "./activity";
import { BodiesTable } from "./bodiesTable";
import styles from "./page.module.css";
import { Playback } from "./playback";
import type { GalaxyScene } from "./scene";
import { Stage } from "./stage";

/** All workflows of the namespace in space: suns, their tasks in orbit, executions as comets. */
export function GalaxyPage() {
  const map = useQuery(workflowMap);
  const activity = useQuery(activityQuery);
  const galaxy = useGalaxy(map.data?.workflows, activity.data);
  const [chosen, setChosen] = useState<number>();
  const [noWebgl, setNoWebgl] = useState(false);
  const scene = useRef<GalaxyScene>(undefined);
  const fly = (place: number | undefined) => {
    setChosen(place);
    if (place === undefined) return;
    scene.current?.flyTo(place);
    scene.current?.seen(place);
  };
  const error = map.error ?? activity.error;
  const retry = () => void Promise.all([map.refetch(), activity.refetch()]);
  return (
    <>
      <PageHeader
        title={say("galaxy.title")}
        actions={
          galaxy && (
            <>
              <Search galaxy={galaxy} fly={fly} />
              <Button
                onClick={() => {
                  setChosen(undefined);
                  scene.current?.overview();
                }}
              >
                {say("galaxy.overview")}
              </Button>
            </>
          )
        }
      />
      <ViewStrip />
      <div className={frame.page}>
        {error && <Problem error={error} retry={retry} />}
        {!galaxy && !error && <Skeleton rows={10} />}
        {galaxy && galaxy.bodies.length === 0 && (
          <Empty title={say("galaxy.none")}>
            <p>{say("galaxy.noneHint")}</p>
          </Empty>
        )}
        {galaxy && galaxy.bodies.length > 0 && (
          <>
            {noWebgl ? (
              <Flat />
            ) : (
              <div className={styles.space}>
                <Stage galaxy={galaxy} scene={scene} choose={fly} failed={() => setNoWebgl(true)} />
                {chosen !== undefined && galaxy.bodies[chosen] && (
                  <Card body={galaxy.bodies[chosen]} close={() => setChosen(undefined)} />
                )}
              </div>
            )}
            {!noWebgl && <Playback galaxy={galaxy} scene={scene} />}
            {galaxy.capped && <p className="muted">{say("galaxy.capped")}</p>}
            <BodiesTable
              workflows={map.data?.workflows ?? []}
              activity={activity.data}
              fly={(workflow) => fly(galaxy.index.get(sunId(workflow)))}
            />
          </>
        )}
      </div>
    </>
  );
}

/** The places stay as they were first computed, so that nothing jumps while one looks. */
function useGalaxy(
  workflows: Parameters<typeof galaxyOf>[0] | undefined,
  activity: Parameters<typeof galaxyOf>[1] | undefined,
): Galaxy | undefined {
  const first = useRef(activity);
  first.current ??= activity;
  const begun = first.current;
  return useMemo(() => workflows && begun && galaxyOf(workflows, begun), [workflows, begun]);
}

/** Without WebGL the same connections are drawn in two dimensions. */
function Flat() {
  const services = useTopic("services");
  const map = useQuery(workflowMap);
  const [chosen, setChosen] = useState<string>();
  const topology = useMemo(
    () => topologyOf(services.data?.services ?? [], map.data?.workflows ?? []),
    [services.data, map.data],
  );
  return (
    <>
      <p role="status">{say("galaxy.noWebgl")}</p>
      <TopologyPicture topology={topology} chosen={chosen} choose={setChosen} />
    </>
  );
}

function Search({ galaxy, fly }: { galaxy: Galaxy; fly: (place: number) => void }) {
  const names = useMemo(
    () =>
      new Map(
        galaxy.bodies
          .map((body, place) => [nameOf(body), place] as const)
          .filter((_, place) => galaxy.bodies[place]?.kind !== "planet"),
      ),
    [galaxy],
  );
  const input = useRef<HTMLInputElement>(null);
  useKeys("everywhere", { "/": () => input.current?.focus() });
  const find = (text: string) => {
    const exact = names.get(text);
    const place = exact ?? [...names].find(([name]) => name.includes(text.toLowerCase()))?.[1];
    if (text && place !== undefined) fly(place);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        find(input.current?.value.trim() ?? "");
      }}
    >
      <input
        ref={input}
        type="search"
        list="galaxy-names"
        className={frame.search}
        aria-label={say("galaxy.flyTo")}
        placeholder={say("galaxy.fly")}
        onChange={(event) => names.has(event.target.value) && find(event.target.value)}
      />
      <datalist id="galaxy-names">
        {[...names.keys()].slice(0, 500).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </form>
  );
}

function nameOf(body: Body): string {
  return body.kind === "sun" ? body.name : `${body.name} (${KINDS[body.kind]})`;
}

const KINDS = {
  sun: say("galaxy.sun"),
  planet: say("galaxy.planet"),
  star: say("galaxy.star"),
  service: say("galaxy.service"),
} as const;

function Card({ body, close }: { body: Body; close: () => void }) {
  const rate =
    body.success === undefined
      ? ""
      : say("galaxy.rate", { percent: (100 * body.success).toFixed(0) });
  return (
    <aside className={styles.card} aria-label={say("galaxy.chosen")}>
      <strong>
        <bdi>{body.name}</bdi>
      </strong>
      <span className="muted">
        {KINDS[body.kind]}
        {body.kind === "planet" && (
          <>
            {" of "}
            <bdi>{body.workflow}</bdi>
          </>
        )}
        {rate}
      </span>
      <span className={styles.links}>
        {body.workflow && (
          <>
            <Link to="/dashboards" search={{ workflow: body.workflow }}>
              {say("galaxy.dashboard")}
            </Link>
            <Link to="/executions" search={{ q: `workflow = "${body.workflow}"` }}>
              {say("galaxy.executions")}
            </Link>
          </>
        )}
        {body.kind === "star" && <Link to="/workers">{say("galaxy.workers")}</Link>}
        {body.kind === say("galaxy.service") && (
          <Link to="/visualization/topology">{say("galaxy.topology")}</Link>
        )}
        <Button small kind="quiet" onClick={close}>
          {say("action.close")}
        </Button>
      </span>
    </aside>
  );
}
