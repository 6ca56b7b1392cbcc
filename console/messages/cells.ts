/** The texts of the page of cells. */

import { teach } from "../src/model/messages";

export const cells = {
  "cells.title": "Cells",
  "cells.projects": "Projects",
  "cells.one": "This installation is one cell",
  "cells.oneHint":
    "For more than one database or region, run further suites, each with FLOWMESH_CELL, FLOWMESH_CELL_NAME, FLOWMESH_CELL_REGION and FLOWMESH_CELL_DIRECTORY. `flowmesh dev --cells 3` shows three on one machine.",
  "cells.count": "{count} cells",
  "cells.cell": "Cell",
  "cells.own": "serves this page",
  "cells.number": "Number",
  "cells.named": "Named projects",
  "cells.region": "Region",
  "cells.state": "State",
  "cells.load": "Load a day",
  "cells.http": "REST",
  "cells.grpc": "gRPC",
  "cells.moves": "{count, plural, one {# project moves} other {# projects move}}",
  "cells.noMoves": "No project moves",
  "cells.noMovesHint": "`flowmesh cells move PROJECT --to CELL` moves one.",
  "cells.project": "Project",
  "cells.from": "From",
  "cells.to": "To",
  "cells.step": "Step",
  "cells.copying": "Its definitions are copied",
  "cells.switching": "Its home is switched",
  "cells.starting": "Its queues and applications start in the new cell",
  "cells.ending": "Its executions end in the former cell",
  "cells.advice": "Moves that would even out the loads",
  "cells.even": "The loads are even, or no move of one project makes them more even",
  "cells.unread": "No load is known",
  "cells.adviceHint":
    "The load is what the first 50 projects that you see added to histories in a day; the command cells advise reads all projects.",
  "cells.partial": "No answer of {cells}",
  "cells.command": "Command",
  "cells.copy": "Copy the command",
} as const;

teach(cells);
