/** The menu that shows and hides columns of the list; open as soon as it is loaded. */

import { Columns3 } from "lucide-react";
import { Menu, MenuCheck } from "@/design/menu";
import { Button } from "@/design/primitives";
import { say } from "@/model/messages";
import type { Columns } from "./columns";

export default function ColumnMenu({ offered, shown, toggle }: Columns) {
  return (
    <Menu
      defaultOpen
      trigger={<Button icon={<Columns3 size={14} />}>{say("executions.columns")}</Button>}
      label={say("executions.columns")}
    >
      {offered.map((column) => (
        <MenuCheck
          key={column.id}
          checked={shown.includes(column)}
          disabled={column.always}
          onChange={() => toggle(column.id)}
        >
          {column.order === column.id ? column.id : column.label}
        </MenuCheck>
      ))}
    </Menu>
  );
}
