/** All that can be added, and the adding of one, for which a template asks its parameters first. */

import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { read } from "@/api/client";
import { type Addition, addedTo, additionsOf, groupOf, type Where } from "./additions";
import { useLibrary } from "./completion";
import { useSession } from "./session";
import { TemplateDialog } from "./start";

export function useAdditions(): Addition[] {
  const { tasks, types } = useLibrary();
  const templates = useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => read("/api/v1/templates", { query: { pageSize: 100 }, signal }),
  });
  const found = templates.data?.templates;
  return useMemo(() => additionsOf(tasks, types, found ?? []), [tasks, types, found]);
}

export function useAdding(): {
  adding: (addition: Addition, where?: Where) => void;
  asked: ReactNode;
} {
  const session = useSession();
  const [pending, setPending] = useState<{ addition: Addition; where: Where | undefined }>();
  const template = pending?.addition.template;
  const adding = (addition: Addition, where?: Where) => {
    if (addition.template) setPending({ addition, where });
    else addedTo(session, addition, where);
  };
  const asked = pending && template && (
    <TemplateDialog
      template={template}
      close={() => setPending(undefined)}
      begin={(text) => {
        addedTo(session, groupOf(pending.addition, text), pending.where);
        setPending(undefined);
      }}
    />
  );
  return { adding, asked };
}
