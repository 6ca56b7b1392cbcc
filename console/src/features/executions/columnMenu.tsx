/** The menu that shows and hides columns of the list; open as soon as it is loaded. */

import { Columns3 } from "lucide-react";
import type { ListSearch } from "@/app/routes";
import { Menu, MenuCheck } from "@/design/menu";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import { COLUMNS, shownColumns } from "./columns";

interface Props {
  search: ListSearch;
  change: (values: Partial<ListSearch>) => void;
}

export default function ColumnMenu({ search, change }: Props) {
  return (
    <Menu
      defaultOpen
      trigger={<Button icon={<Columns3 size={14} />}>{say("executions.columns")}</Button>}
      label={say("executions.columns")}
    >
      {COLUMNS.map((column) => (
        <MenuCheck
          key={column.id}
          checked={shownColumns(search.columns).includes(column.id)}
          disabled={column.always}
          onChange={() => change({ columns: toggledColumn(search.columns, column.id) })}
        >
          {column.label}
        </MenuCheck>
      ))}
    </Menu>
  );
}

function toggledColumn(columns: string | undefined, id: string): string {
  const shown = shownColumns(columns);
  const next = shown.includes(id) ? shown.filter((each) => each !== id) : [...shown, id];
  return next.join(",");
}
