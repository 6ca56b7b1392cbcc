/** One workflow: its graph, versions, labels, differences, used tasks, triggers and changes. */

import "../../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import { PageHeader } from "@/app/pageHeader";
import { GraphPane, type GraphSource } from "@/canvas/graphStage";
import { Skeleton, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { RunButton } from "@/launch/runButton";
import { duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { graphOf } from "@/model/graph";
import { say } from "@/model/messages";
import { PluginPanels, usePanels } from "@/panels/pluginPanels";
