import { PluginPanels, usePanels } from "@/panels/pluginPanels";
import { useExecution } from "./data";

/** The panels that plugins add to the page of an execution. */
export default function PanelsTab() {
  const { executionId, execution } = useExecution();
  const panels = usePanels("execution");
  const shown = { place: "execution", executionId, workflow: execution?.workflow } as const;
  return <PluginPanels panels={panels} shown={shown} />;
}
