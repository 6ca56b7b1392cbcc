import "../../../messages/records";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import { useCompanies } from "@/api/places";
import type { AuditEntryValue, AuditVerification } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { sessionQuery } from "@/app/session";
import { SelectField } from "@/design/fields";
import { Listing } from "@/design/listing";
import frame from "@/design/page.module.css";
import { Button, TextField, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import type { Column } from "@/design/table";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";
import styles from "./page.module.css";

const FILTERS = ["actor", "method", "target"] as const;

/** Changes and refusals of a company or of the installation, and the check of their chain. */
export function AuditPage() {
  const route = getRouteApi("/audit");
  const chosen = route.useSearch();
  const navigate = route.useNavigate();
  const closed = useQuery(sessionQuery).data?.auth === "closed";
  const companies = useCompanies(closed);
  const verify = useMutation({
    mutationFn: () => read("/api/v1/audit:verify", { query: { companyId: chosen.companyId } }),
  });
  const { query, rows: entries } = usePages(["audit", chosen], async (pageToken, signal) => {
    const page = await read("/api/v1/audit", { query: { ...chosen, pageToken }, signal });
    return { rows: page.entries, next: page.nextPageToken };
  });
  const choose = (more: Partial<typeof chosen>) => {
    verify.reset();
    void navigate({ search: { ...chosen, ...more }, replace: true });
  };
  return (
    <Page
      title={say("audit.title")}
      actions={<Button onClick={() => verify.mutate()}>{say("audit.verify")}</Button>}
    >
      <search className={styles.filters}>
        <SelectField
          label={say("audit.company")}
          value={chosen.companyId ?? ""}
          change={(companyId) => choose({ companyId: companyId || undefined })}
        >
          <option value="">{say("audit.installation")}</option>
          {companies.data?.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </SelectField>
        {FILTERS.map((name) => (
          <TextField
            key={name}
            label={say(`audit.${name}`)}
            value={chosen[name] ?? ""}
            change={(value) => choose({ [name]: value || undefined })}
          />
        ))}
      </search>
      {verify.data && <Verdict found={verify.data} />}
      {verify.error && <Problem error={verify.error} retry={() => verify.mutate()} />}
      <Listing
        query={query}
        expected={10}
        none={say("audit.none")}
        noneHint={say("audit.noneHint")}
        title={say("audit.count")}
        columns={COLUMNS}
        rows={entries}
        keyOf={(each) => each.sequence}
      />
    </Page>
  );
}

function Verdict({ found }: { found: AuditVerification }) {
  const { entries: count, intact, brokenSequence: sequence = 0, problem = "" } = found;
  return (
    <p role="status" className={frame.verdict} data-verdict={intact ? undefined : "breaking"}>
      {intact ? say("audit.intact", { count }) : say("audit.broken", { sequence, problem })}
    </p>
  );
}

const COLUMNS: readonly Column<AuditEntryValue>[] = [
  { head: say("audit.at"), as: "muted", cell: (each) => <Time at={each.at} /> },
  { head: say("audit.actor"), as: "id", cell: (each) => each.actor },
  { head: say("audit.method"), as: "code", cell: (each) => each.method },
  { head: say("audit.target"), as: "id", cell: (each) => each.target || "–" },
  { head: say("audit.outcome"), as: "text", cell: (each) => each.outcome },
  { head: say("audit.address"), as: "id", cell: (each) => each.address || "–" },
  {
    head: say("audit.details"),
    cell: ({ details }) => (details ? <ValueTree value={details} root="details" folded /> : "–"),
  },
];
