import { Stops } from "./stops";
import { Watches } from "./watches";

interface Props {
  paths: readonly string[];
  watch: (paths: readonly string[]) => void;
}

/** What a debugger has besides the views: stops and watches. */
export default function DebugPanels({ paths, watch }: Props) {
  return (
    <>
      <Stops />
      <Watches paths={paths} change={watch} />
    </>
  );
}
