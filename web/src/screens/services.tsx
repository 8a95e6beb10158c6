// What makes runs: triggers, open backfills, and workflows that a person starts.
import { type Page, useData } from "../api/data";
import { useMay } from "../api/session";
import type { ServiceItem } from "../api/types";
import { visible } from "../names";
import { address, pathOf } from "../route";
import { Card, type Column, Empty, Loading, Problem, State, Table, Time } from "../ui/parts";
import { RunTabs } from "./run-tabs";

const KINDS = [
  ["continuous", "Continuous", "Triggers: runs start when files come or a time is due."],
  ["request", "On request", "Backfills: old data made again, behind all live work."],
  ["instant", "Instant", "Workflows that a person starts with files of their own."],
] as const;

export function Services() {
  const { data, error } = useData<Page<ServiceItem>>("/v1/services", ["run", "product"], 10_000);
  return (
    <>
      <h1>Services</h1>
      <RunTabs />
      <Problem error={error} />
      {!data && !error && <Loading what="services" />}
      {data &&
        KINDS.map(([kind, title, what]) => {
          const items = data.items.filter((item) => item.kind === kind);
          return (
            <Card key={kind} title={title}>
              <p class="empty">{what}</p>
              {items.length === 0 ? (
                <Empty>None.</Empty>
              ) : (
                <Table label={title} columns={COLUMNS} items={items} keyOf={(item) => item.name} />
              )}
            </Card>
          );
        })}
    </>
  );
}

function Name({ item }: { item: ServiceItem }) {
  const may = useMay("submit");
  if (item.kind === "instant" && !may) return <>{item.name}</>;
  if (item.kind === "instant") return <a href={address("/runs/new", { workflow: item.workflow })}>{item.name}</a>;
  if (item.kind === "request") return <a href={address("/assets", { show: "backfills" })}>{item.name}</a>;
  return <a href={address("/runs", { trigger: item.name })}>{item.name}</a>;
}

const COLUMNS: readonly Column<ServiceItem>[] = [
  { name: "Service", show: (item) => <Name item={item} /> },
  { name: "State", show: (item) => <State value={item.state} /> },
  { name: "Workflow", show: (item) => item.workflow.split("/").pop() },
  {
    name: "Waits for",
    show: (item) => (/^\d{4}-/.test(item.waits_for) ? <Time at={item.waits_for} /> : item.waits_for),
  },
  {
    name: "Last run",
    show: (item) =>
      item.last_run && (
        <>
          <a href={pathOf("runs", item.last_run.id)}>
            <Time at={item.last_run.created_at} />
          </a>{" "}
          <State value={item.last_run.state} />
        </>
      ),
  },
  { name: "Runs, 24 h", kind: "number", show: (item) => item.runs },
  { name: "Products, 24 h", kind: "number", show: (item) => item.products },
  { name: "Why", kind: "text", show: (item) => visible(item.why) },
];
