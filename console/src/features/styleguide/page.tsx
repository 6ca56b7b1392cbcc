import "../../../messages/styleguide";
import { Search } from "lucide-react";
import { type ReactNode, useState } from "react";
import { PageHeader } from "@/app/pageHeader";
import { AreaField, SelectField } from "@/design/fields";
import frame from "@/design/page.module.css";
import {
  Button,
  Dialog,
  DialogActions,
  Empty,
  Fold,
  IconButton,
  Keys,
  Skeleton,
  TextField,
} from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { type Column, Share, Table } from "@/design/table";
import { TabPanel, Tabs } from "@/design/tabs";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";
import styles from "./page.module.css";

const SIZES = ["small", "normal", "large"] as const;
const SPACES = ["2", "4", "8", "12", "16", "24", "32"] as const;
const STATUSES = [
  "pending",
  "running",
  "completed",
  "failed",
  "canceled",
  "paused",
  "compensating",
  "healthy",
  "degraded",
  "offline",
] as const;
const KINDS = ["primary", "plain", "quiet", "danger"] as const;
const TABS = ["first", "second"] as const;

/** Every component of the console in every state, for people who build its pages. */
export function StyleguidePage() {
  const [tab, setTab] = useState<(typeof TABS)[number]>("first");
  const [open, setOpen] = useState(false);
  return (
    <>
      <PageHeader title={say("style.title")} />
      <div className={`${frame.page} ${styles.sections}`}>
        <Section name={say("style.text")}>
          {SIZES.map((size) => (
            <span key={size} style={{ fontSize: `var(--text-${size})` }}>
              {say("style.size", { size })}
            </span>
          ))}
        </Section>
        <Section name={say("style.space")}>
          {SPACES.map((size) => (
            <span key={size} className={styles.space} style={{ width: `var(--space-${size})` }}>
              <span className="muted numbers">{size}</span>
            </span>
          ))}
        </Section>
        <Section name={say("style.status")}>
          {STATUSES.map((status) => (
            <Status key={status} status={status} />
          ))}
          <Status status="failed" badge />
        </Section>
        <Section name={say("style.buttons")}>
          {KINDS.map((kind) => (
            <Button key={kind} kind={kind}>
              {say("style.button")}
            </Button>
          ))}
          <Button small>{say("style.small")}</Button>
          <Button disabled>{say("style.disabled")}</Button>
          <IconButton label={say("style.search")}>
            <Search size={14} aria-hidden />
          </IconButton>
          <Keys keys="Ctrl K" />
        </Section>
        <Section name={say("style.fields")}>
          <TextField label={say("style.field")} hint={say("style.hint")} change={ignore} value="" />
          <TextField
            label={say("style.wrong")}
            error={say("style.error")}
            change={ignore}
            value="-1"
          />
          <SelectField label={say("style.choice")} change={ignore}>
            <option>{say("style.option")}</option>
          </SelectField>
          <AreaField label={say("style.lines")} change={ignore} value="" />
        </Section>
        <Table
          title={say("style.table")}
          columns={COLUMNS}
          rows={ROWS}
          keyOf={(each) => each.name}
        />
        <Section name={say("style.parts")}>
          <div className={styles.wide}>
            <Tabs
              label={say("style.tabs")}
              tabs={TABS.map((id, count) => ({ id, label: say(`style.${id}`), count }))}
              chosen={tab}
              choose={setTab}
            />
            <TabPanel tab={tab}>
              <Fold title={say("style.fold")}>{say("style.folded")}</Fold>
            </TabPanel>
          </div>
          <div className={styles.wide}>
            <ValueTree value={{ order: 7, items: ["lamp", null, true] }} root="value" />
          </div>
        </Section>
        <Section name={say("style.states")}>
          <Empty title={say("style.empty")}>
            <p>{say("style.emptyHint")}</p>
          </Empty>
          <div className={styles.wide}>
            <Problem error={new Error(say("style.happened"))} retry={() => undefined} />
          </div>
          <div className={styles.wide} aria-hidden>
            <Skeleton rows={3} />
          </div>
          <Button onClick={() => setOpen(true)}>{say("style.dialog")}</Button>
        </Section>
      </div>
      <Dialog title={say("style.dialog")} open={open} onClose={() => setOpen(false)}>
        <p>{say("style.asked")}</p>
        <DialogActions>
          <Button onClick={() => setOpen(false)}>{say("style.cancel")}</Button>
          <Button kind="primary" onClick={() => setOpen(false)}>
            {say("style.act")}
          </Button>
        </DialogActions>
      </Dialog>
    </>
  );
}

const ignore = () => undefined;

function Section({ name, children }: { name: string; children: ReactNode }) {
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      <div className={styles.row}>{children}</div>
    </section>
  );
}

interface Row {
  name: string;
  count: number;
}

const ROWS: readonly Row[] = [
  { name: "orders", count: 3 },
  { name: "returns", count: 12 },
];

const COLUMNS: readonly Column<Row>[] = [
  { head: say("style.id"), as: "id", cell: (each) => each.name },
  { head: say("style.number"), as: "numbers", cell: (each) => each.count },
  {
    head: say("style.share"),
    cell: ({ name, count }) => (
      <Share part={count} whole={12} label={say("style.shareOf", { name })} />
    ),
  },
];
