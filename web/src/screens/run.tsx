// One run: what it is, how it stands and why, its jobs, logs, inputs, products and decisions.
import { useState } from "preact/hooks";
import { useData } from "../api/data";
import { useYou } from "../api/session";
import type { DecisionItem, JobShown, LogFile, ProductItem, RunDetail } from "../api/types";
import { bytes, decimal } from "../numbers";
import { address, pathOf, setParameters, useRoute } from "../route";
import { span } from "../times";
import { Download, Picture } from "../ui/files";
import { Log } from "../ui/log";
import { Order } from "../ui/order";
import { Card, type Column, Empty, Facts, Loading, Problem, State, Table, Time } from "../ui/parts";

const OVER = ["succeeded", "failed", "cancelled", "skipped"];
const PICTURE = /\.(png|gif|jpe?g|webp)$/i;

export function RunPage({ id }: { id: string }) {
  const { data: run, error, again } = useData<RunDetail>(`/v1${pathOf("runs", id)}`, ["run", "product", "decision"]);
  const { query } = useRoute();
  if (!run) return error ? <Problem error={error} /> : <Loading what="the run" />;
  const tabs = {
    products: `Products (${run.product_files.length})`,
    jobs: `Jobs (${run.counts.done}/${run.counts.total})`,
    logs: "Logs",
    inputs: `Inputs (${run.inputs.length})`,
    decisions: `Decisions (${run.decisions.length})`,
  };
  type Tab = keyof typeof tabs;
  const asked = query.get("tab") ?? "";
  const tab: Tab = asked in tabs ? (asked as Tab) : run.product_files.length > 0 ? "products" : "jobs";
  return (
    <>
      <p>
        <a href="/runs">Runs</a> › <a href={address("/runs", { workflow: run.workflow })}>{run.workflow}</a>
      </p>
      <h1>{run.id}</h1>
      <Problem error={error} />
      {query.get("known") && (
        <p role="status" class="note">
          This run was there already: the same workflow with the same files and parameters.
        </p>
      )}
      <div class="bar">
        <State value={run.state} />
        <span>{run.reason}</span>
        {run.product_files.some((product) => product.lead_min !== null && /\.geojson$/.test(product.name)) && (
          <a href={address("/map", { run: run.id })}>On the map</a>
        )}
        <Orders run={run} done={again} />
      </div>
      <About run={run} />
      <nav class="tabs" aria-label="Parts of the run">
        {Object.entries(tabs).map(([name, text]) => (
          <a
            key={name}
            href={address(pathOf("runs", run.id), { tab: name })}
            aria-current={name === tab ? "page" : undefined}
          >
            {text}
          </a>
        ))}
      </nav>
      {tab === "products" && <Products run={run} />}
      {tab === "jobs" && <Jobs run={run} />}
      {tab === "logs" && <Logs run={run} />}
      {tab === "inputs" && <Inputs run={run} />}
      {tab === "decisions" && <Decisions items={run.decisions} />}
    </>
  );
}

function About({ run }: { run: RunDetail }) {
  const left = run.attended === false ? "no process works on it: retry continues it" : "";
  const skipped = Object.entries(run.skipped);
  return (
    <>
      {left && <p class="problem">{left}</p>}
      <Facts
        facts={[
          ["Data of", <Time key="v" at={run.valid_at} />],
          ["Radar", run.radar],
          ["Started by", run.trigger],
          ["Created", <Time key="c" at={run.created_at} />],
          ["Ended", run.ended_at && <Time key="e" at={run.ended_at} />],
          ["Took", span(run.duration_s)],
          ["Deadline", run.deadline_at && <Time key="d" at={run.deadline_at} />],
          ["File to products", span(run.latencies["total_s"])],
          ["CPU", `${span(run.cpu_s)}, ${span(run.predicted_s)} predicted`],
          ["Cost", run.cost === null ? "" : `${decimal(run.cost, 4)} ${run.currency}`],
          ["Engine", run.engine],
          ["Backfill", run.backfill],
          ["Variant", run.variant],
          ["Plan", run.plan_reason],
          ["Run folder", <code key="f">{run.run_dir}</code>],
        ]}
      />
      {run.remarks.length > 0 && (
        <Card title="Remarks">
          <ul>
            {run.remarks.map((remark) => (
              <li key={remark}>{remark}</li>
            ))}
          </ul>
        </Card>
      )}
      {run.checks.length > 0 && (
        <Card title="Checks">
          <ul>
            {run.checks.map((check) => (
              <li key={check.id}>
                <State value={check.severity} /> {check.check}: {decimal(check.value, 2)}
                {check.limit === null ? "" : ` (limit ${decimal(check.limit, 2)})`} {check.place}
              </li>
            ))}
          </ul>
        </Card>
      )}
      {skipped.length > 0 && (
        <Card title="Jobs left out">
          <ul>
            {skipped.map(([job, reason]) => (
              <li key={job}>
                <code>{job}</code>: {reason}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

/** What may be done with it. */
function Orders({ run, done }: { run: RunDetail; done: () => void }) {
  const you = useYou();
  // Researchers have a say about their own runs.
  const needs = you?.name === run.owner ? "submit" : "order";
  const stuck = ["failed", "held", "cancelled"].includes(run.state) || run.attended === false;
  const path = (name: string) => `/v1${pathOf("runs", run.id, name)}`;
  return (
    <>
      {!OVER.includes(run.state) && <Order needs={needs} text="Cancel" path={path("cancel")} done={done} />}
      {stuck && <Order needs={needs} text="Retry" path={path("retry")} done={done} />}
    </>
  );
}

const fileOf = (product: ProductItem) => `/v1/products/${product.id}/file`;
const PRODUCTS: readonly Column<ProductItem>[] = [
  {
    name: "File",
    show: (product) =>
      product.tier === "gone" ? (
        `${product.name} (removed)`
      ) : (
        <Download path={fileOf(product)} name={product.name.split("/").pop() ?? product.name}>
          {product.name}
        </Download>
      ),
  },
  { name: "Lead", kind: "number", show: (product) => (product.lead_min === null ? "" : `${product.lead_min} min`) },
  { name: "Valid", show: (product) => <Time at={product.valid_at} /> },
  { name: "Size", kind: "number", show: (product) => bytes(product.bytes) },
  { name: "Made by", show: (product) => <code>{product.output}</code> },
  {
    name: "From",
    show: (product) => <a href={address("/assets", { show: "lineage", product: String(product.id) })}>lineage</a>,
  },
];

function Products({ run }: { run: RunDetail }) {
  const [all, setAll] = useState(false);
  if (run.product_files.length === 0)
    return <Empty>{OVER.includes(run.state) ? "It published nothing." : "Nothing is published yet."}</Empty>;
  const pictures = run.product_files.filter((product) => PICTURE.test(product.name) && product.tier !== "gone");
  const shown = all ? pictures : pictures.slice(0, 8);
  return (
    <>
      {shown.length > 0 && (
        <div class="gallery">
          {shown.map((product) => (
            <figure key={product.id}>
              <a href={fileOf(product)} target="_blank" rel="noreferrer">
                <Picture path={fileOf(product)} alt={product.name} />
              </a>
              <figcaption>
                {product.lead_min === null ? product.name : `+${product.lead_min} min`} <Time at={product.valid_at} />
              </figcaption>
            </figure>
          ))}
        </div>
      )}
      {pictures.length > shown.length && (
        <p>
          <button type="button" onClick={() => setAll(true)}>
            All {pictures.length} pictures
          </button>
        </p>
      )}
      <Table label="Products" columns={PRODUCTS} items={run.product_files} keyOf={(product) => product.id} />
    </>
  );
}

const JOBS: readonly Column<JobShown>[] = [
  { name: "Job", show: (job) => <code>{job.job}</code> },
  { name: "State", show: (job) => <State value={job.state} /> },
  { name: "Module", show: (job) => job.module },
  { name: "Started", show: (job) => <Time at={job.started_at} /> },
  { name: "Took", kind: "number", show: (job) => span(job.wall_s) },
  { name: "CPU", kind: "number", show: (job) => span(job.cpu_s) },
  { name: "Why", kind: "text", show: (job) => job.reason },
];

function Jobs({ run }: { run: RunDetail }) {
  if (run.jobs.length === 0) return <Empty>No job has ended{OVER.includes(run.state) ? "" : " yet"}.</Empty>;
  const rank = { failed: 0, skipped: 2 } as Readonly<Record<string, number>>;
  const jobs = [...run.jobs].sort((a, b) => (rank[a.state] ?? 1) - (rank[b.state] ?? 1));
  return <Table label="Jobs" columns={JOBS} items={jobs} keyOf={(job) => job.job} />;
}

function Logs({ run }: { run: RunDetail }) {
  const { query } = useRoute();
  const names = run.logs.map((log: LogFile) => log.name);
  const name = query.get("log") ?? names[0];
  if (name === undefined) return <Empty>There are no logs{OVER.includes(run.state) ? "" : " yet"}.</Empty>;
  const path = `/v1${pathOf("runs", run.id)}/logs/${name.split("/").map(encodeURIComponent).join("/")}`;
  return (
    <>
      <div class="bar">
        <label class="choice">
          <span>log</span>
          <select value={name} onChange={(event) => setParameters({ log: event.currentTarget.value })}>
            {run.logs.map((log) => (
              <option key={log.name} value={log.name}>
                {log.name} ({bytes(log.bytes)})
              </option>
            ))}
          </select>
        </label>
      </div>
      <Log path={path} follow={!OVER.includes(run.state)} label={name} />
    </>
  );
}

function Inputs({ run }: { run: RunDetail }) {
  return (
    <>
      <Table
        label="Inputs"
        columns={[
          { name: "Port", show: (input) => <code>{input.port}</code> },
          { name: "File", kind: "text", show: (input) => input.path },
          { name: "Size", kind: "number", show: (input) => bytes(input.bytes) },
          { name: "SHA-256", kind: "id", show: (input) => <span title={input.sha256}>{input.sha256.slice(0, 12)}</span> },
        ]}
        items={run.inputs}
        keyOf={(input) => `${input.port} ${input.path}`}
      />
      <h2>Parameters</h2>
      <Facts facts={Object.entries(run.parameters).map(([name, value]) => [name, JSON.stringify(value)] as const)} />
    </>
  );
}

export function Decisions({ items }: { items: readonly DecisionItem[] }) {
  if (items.length === 0) return <Empty>Nothing was decided.</Empty>;
  return (
    <Table
      label="Decisions"
      columns={[
        { name: "Time", show: (item: DecisionItem) => <Time at={item.time} /> },
        { name: "Decision", show: (item: DecisionItem) => item.action },
        { name: "Why", kind: "text", show: (item: DecisionItem) => item.reason },
        { name: "Numbers", kind: "text", show: (item: DecisionItem) => <Numbers data={item.data} /> },
      ]}
      items={items}
      keyOf={(item) => item.id}
    />
  );
}

export function Numbers({ data }: { data: Readonly<Record<string, unknown>> }) {
  const told = Object.entries(data);
  if (told.length === 0) return null;
  return (
    <details>
      <summary>{told.length === 1 ? "1 number" : `${told.length} numbers`}</summary>
      <dl class="facts">
        {told.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
