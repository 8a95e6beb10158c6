// All runs, newest first, by what the address asks for.
import { useNow } from "../api/data";
import { useRunList } from "../api/runs";
import type { RunItem } from "../api/types";
import type { ScreenProps } from "../app";
import { address, go, pathOf, setParameters, useRoute } from "../route";
import { since, span } from "../times";
import { Choice, type Column, Empty, Filter, Loading, Problem, State, Table, Time } from "../ui/parts";
import { NewRun } from "./order";
import { RunPage } from "./run";
import { RunTabs } from "./run-tabs";
import { Services } from "./services";

const STATES =
  "created planned submitted running publishing succeeded held failed cancelled skipped".split(" ");
const WINDOWS = [
  ["", "any time"],
  ["1h", "last hour"],
  ["6h", "last 6 hours"],
  ["1d", "last day"],
  ["7d", "last 7 days"],
] as const;

export function RunsScreen({ rest }: ScreenProps) {
  const [id] = rest;
  const { query } = useRoute();
  if (id === undefined) return query.get("show") === "services" ? <Services /> : <RunList />;
  return id === "new" ? <NewRun /> : <RunPage id={id} />;
}

function RunList() {
  const { query } = useRoute();
  const value = (name: string) => query.get(name) ?? "";
  // Renewed by the minute: the window moves with the clock.
  const now = useNow(60_000);
  const asked = { workflow: value("workflow"), trigger: value("trigger"), state: value("state"), radar: value("radar") };
  const list = useRunList(address("/v1/runs", { ...asked, since: since(value("since"), now) ?? "" }));
  const seen = (name: "workflow" | "trigger" | "radar") => [
    ...new Set((list.data ?? []).map((run) => run[name]).filter(Boolean)),
  ];
  return (
    <>
      <h1>Runs</h1>
      <RunTabs />
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        {(["workflow", "radar", "trigger"] as const).map((name) => (
          <span key={name}>
            <Filter
              label={name}
              value={value(name)}
              choose={(text) => setParameters({ [name]: text })}
              list={`seen-${name}`}
            />
            <datalist id={`seen-${name}`}>
              {seen(name).map((text) => (
                <option key={text} value={text} />
              ))}
            </datalist>
          </span>
        ))}
        <Choice
          label="state"
          value={value("state")}
          options={[["", "any"], ...STATES.map((state) => [state, state] as const)]}
          choose={(state) => setParameters({ state })}
        />
        <Choice
          label="created"
          value={value("since")}
          options={WINDOWS}
          choose={(window) => setParameters({ since: window })}
        />
        {query.size > 0 && <a href="/runs">Clear</a>}
      </form>
      <Problem error={list.error} />
      {list.data === undefined ? (
        !list.error && <Loading what="runs" />
      ) : list.data.length === 0 ? (
        <Empty>{query.size > 0 ? "No run is like that." : "No runs yet: they start when files arrive."}</Empty>
      ) : (
        <RunTable items={list.data} />
      )}
      {list.more && (
        <p>
          <button type="button" onClick={list.more}>
            Older runs
          </button>
        </p>
      )}
    </>
  );
}

export function RunTable({ items, label = "Runs" }: { items: readonly RunItem[]; label?: string }) {
  return (
    <Table
      label={label}
      columns={COLUMNS}
      items={items}
      keyOf={(run) => run.id}
      open={(run) => go(pathOf("runs", run.id))}
    />
  );
}

const COLUMNS: readonly Column<RunItem>[] = [
  { name: "Run", kind: "id", show: (run) => <a href={pathOf("runs", run.id)}>{run.id}</a> },
  { name: "State", show: (run) => <State value={run.state} /> },
  { name: "Workflow", show: (run) => run.workflow },
  { name: "Radar", show: (run) => run.radar },
  { name: "Data of", show: (run) => <Time at={run.valid_at} /> },
  { name: "Started", show: (run) => <Time at={run.started_at ?? run.created_at} /> },
  { name: "Took", kind: "number", show: (run) => (run.duration_s === null ? <Since run={run} /> : span(run.duration_s)) },
  { name: "Products", kind: "number", show: (run) => run.products || "" },
  { name: "Why", kind: "text", show: (run) => run.reason },
];

function Since({ run }: { run: RunItem }) {
  const now = useNow();
  return <>{span(Math.max(0, (now - Date.parse(run.created_at)) / 1000))}…</>;
}
