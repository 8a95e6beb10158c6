// Workers by fleet, group and site; orders to them; what they cost and what is left.
import { useState } from "preact/hooks";
import { useData, useNow } from "../api/data";
import { useMay } from "../api/session";
import type { CostItem, CostsShown, FleetEvents, Fleets, FleetStatus, GroupStatus, WorkerStatus } from "../api/types";
import type { ScreenProps } from "../app";
import { visible } from "../names";
import { count, decimal } from "../numbers";
import { address, go, pathOf, setParameters, useRoute } from "../route";
import { ago, since } from "../times";
import { Order } from "../ui/order";
import { Choice, type Column, Empty, Facts, Loading, Problem, State, Table, Time } from "../ui/parts";

const WINDOWS = [
  ["1d", "last day"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
] as const;
const GROUPINGS = [
  ["site", "site"],
  ["day", "day"],
  ["workflow", "workflow"],
  ["product", "product"],
] as const;
const VIEWS = { workers: "Workers", events: "Events" } as const;
/** States of workers that can still be drained. */
const SERVING = ["requested", "booting", "joining", "idle", "busy", "ready", "running"];

export function FleetsScreen({ rest }: ScreenProps) {
  const [name] = rest;
  return name === undefined ? <FleetList /> : <FleetPage name={name} />;
}

function FleetList() {
  const { data, error } = useData<Fleets>("/v1/fleets", ["fleet", "worker"]);
  return (
    <>
      <h1>Fleets</h1>
      <Problem error={error} />
      {data === undefined && !error && <Loading what="fleets" />}
      {data?.fleets.length === 0 && (
        <Empty>
          There is no fleet: <code>dynamo-provision apply SPEC</code> starts one.
        </Empty>
      )}
      {data && data.fleets.length > 0 && (
        <Table
          label="Fleets"
          items={data.fleets}
          keyOf={(fleet) => fleet.id}
          open={(fleet) => go(pathOf("fleets", fleet.name))}
          columns={[
            { name: "Fleet", show: (fleet) => <a href={pathOf("fleets", fleet.name)}>{fleet.name}</a> },
            { name: "State", show: (fleet) => <State value={fleet.state} /> },
            {
              name: "Workers",
              show: (fleet) =>
                Object.entries(fleet.workers)
                  .map(([state, number]) => `${number} ${state}`)
                  .join(", "),
            },
            { name: "Applied", show: (fleet) => <Time at={fleet.applied_at} /> },
            { name: "Looked after by", show: (fleet) => fleet.looked_after_by ?? "nobody" },
          ]}
        />
      )}
      <Costs />
    </>
  );
}

const COSTS: readonly Column<CostItem>[] = [
  { name: "Of", show: (item) => item.key },
  { name: "Fleet", show: (item) => item.fleet },
  { name: "Cost", kind: "number", show: (item) => `${decimal(item.cost, 2)} ${item.currency}` },
  { name: "Core-hours", kind: "number", show: (item) => decimal(item.core_hours) },
  { name: "Used", kind: "number", show: (item) => decimal(item.busy_core_hours) },
  { name: "Idle", kind: "number", show: (item) => `${Math.round(item.idle_share * 100)} %` },
  {
    name: "Each",
    kind: "number",
    show: (item) => item.cost_each !== null && `${decimal(item.cost_each, 4)} ${item.currency}`,
  },
];

function Costs() {
  const { query } = useRoute();
  const now = useNow(60_000);
  const by = query.get("by") ?? "site";
  const window = query.get("since") ?? "7d";
  const path = address("/v1/costs", { by, since: since(window, now) ?? "" });
  const { data, error } = useData<CostsShown>(path, ["fleet", "worker"], 60_000);
  return (
    <section>
      <h2>Costs</h2>
      <div class="bar">
        <Choice label="by" value={by} options={GROUPINGS} choose={(text) => setParameters({ by: text })} />
        <Choice label="range" value={window} options={WINDOWS} choose={(text) => setParameters({ since: text })} />
      </div>
      <Problem error={error} />
      {data?.budgets.map((budget) => (
        <Facts
          key={budget.fleet}
          facts={[
            ["Fleet", budget.fleet],
            ["Spent so far", `${decimal(budget.spent, 2)} ${budget.currency}`],
            ["Spent today", `${decimal(budget.spent_today, 2)} ${budget.currency}`],
            ["Left", budget.total !== null && `${decimal(budget.total - budget.spent, 2)} of ${budget.total} ${budget.currency}`],
            [
              "Left today",
              budget.per_day !== null &&
                `${decimal(budget.per_day - budget.spent_today, 2)} of ${budget.per_day} ${budget.currency}`,
            ],
          ]}
        />
      ))}
      {data?.items.length === 0 && <Empty>Nothing was paid for in this time.</Empty>}
      {data && data.items.length > 0 && (
        <Table label="Costs" columns={COSTS} items={data.items} keyOf={(item) => `${item.fleet} ${item.key}`} />
      )}
    </section>
  );
}

function FleetPage({ name }: { name: string }) {
  const path = `/v1${pathOf("fleets", name)}`;
  const { data: fleet, error, again } = useData<FleetStatus>(path, ["fleet", "worker"], 5000);
  const { query } = useRoute();
  if (!fleet) return error ? <Problem error={error} /> : <Loading what="the fleet" />;
  const view = query.get("view") === "events" ? "events" : "workers";
  return (
    <>
      <p>
        <a href="/fleets">Fleets</a> ›
      </p>
      <h1>{fleet.name}</h1>
      <Problem error={error} />
      {fleet.looked_after_by === null && fleet.state !== "ended" && (
        <p class="problem">
          Nobody looks after it: <code>dynamo-provision daemon</code> carries orders out.
        </p>
      )}
      <Facts
        facts={[
          ["State", <State key="s" value={fleet.state} />],
          ["Settled", fleet.settled ? "yes" : "not yet"],
          ["Costs", `${decimal(fleet.cost_per_hour, 2)} ${fleet.currency}/h`],
          ["Jobs killed", String(fleet.jobs_killed)],
          ["Pool", fleet.pool],
          ["Held", (fleet.holds ?? []).join(", ")],
        ]}
      />
      <Groups fleet={fleet} path={path} done={again} />
      {fleet.sites.some((site) => site.error) && (
        <ul class="plain">
          {fleet.sites
            .filter((site) => site.error)
            .map((site) => (
              <li key={site.site}>
                <State value="error" /> <strong>{site.site}</strong> {site.error}
                {site.left_alone_until && (
                  <>
                    ; left alone until <Time at={site.left_alone_until} />
                  </>
                )}
              </li>
            ))}
        </ul>
      )}
      <nav class="tabs" aria-label="Parts of the fleet">
        {Object.entries(VIEWS).map(([key, text]) => (
          <a
            key={key}
            href={address(pathOf("fleets", name), { view: key })}
            aria-current={key === view ? "page" : undefined}
          >
            {text}
          </a>
        ))}
      </nav>
      {view === "workers" ? <Workers fleet={fleet} path={path} done={again} /> : <Events path={path} />}
    </>
  );
}

interface Part {
  readonly fleet: FleetStatus;
  readonly path: string;
  readonly done: () => void;
}

function Groups({ fleet, path, done }: Part) {
  return (
    <Table
      label="Groups"
      items={fleet.groups}
      keyOf={(group) => group.group}
      columns={[
        { name: "Group", show: (group) => group.group },
        { name: "Site", show: (group) => group.site },
        {
          name: "Workers",
          show: (group) =>
            Object.entries(group.states)
              .map(([state, number]) => `${number} ${state}`)
              .join(", ") || "none",
        },
        { name: "Busy CPUs", kind: "number", show: (group) => `${group.busy_cpus}/${group.cpus}` },
        { name: "Wanted", show: (group) => <Scale group={group} path={path} done={done} /> },
        { name: "By", show: (group) => group.source },
        {
          name: "Orders",
          show: (group) =>
            // What a person set holds until it is released.
            group.source === "operator" ? (
              <Order text="Release" path={`${path}/release`} body={{ target: group.group }} done={done} />
            ) : (
              <Order text="Hold" path={`${path}/hold`} body={{ target: group.group }} done={done} />
            ),
        },
      ]}
    />
  );
}

function Scale({ group, path, done }: { group: GroupStatus; path: string; done: () => void }) {
  const [wanted, setWanted] = useState<number>();
  const may = useMay("order");
  const shown = wanted ?? group.wanted ?? 0;
  if (!may) return <>{shown}</>;
  return (
    <span class="bar">
      <input
        type="number"
        min={0}
        max={10_000}
        value={shown}
        aria-label={`Workers of ${group.group}`}
        onInput={(event) => setWanted(event.currentTarget.valueAsNumber)}
      />
      {wanted !== undefined && wanted !== group.wanted && Number.isInteger(wanted) && wanted >= 0 && (
        <Order
          text={`Scale to ${wanted}`}
          method="PUT"
          path={`${path}${pathOf("groups", group.group)}`}
          body={{ wanted }}
          done={(answer) => {
            // A refusal stays to be read.
            if (answer !== undefined) setWanted(undefined);
            done();
          }}
        />
      )}
    </span>
  );
}

function Workers({ fleet, path, done }: Part) {
  const now = useNow(5000);
  const spec = useData<FleetSpecShown>(`${path}/spec`).data;
  if (fleet.workers.length === 0) return <Empty>It has no workers.</Empty>;
  const keyOf = ({ group, site }: WorkerStatus) =>
    spec?.compute?.find((one) => one.site === site && (one.name === undefined || one.name === group))?.key ?? "";
  const columns: readonly Column<WorkerStatus>[] = [
    { name: "Worker", kind: "id", show: (worker) => worker.name },
    { name: "State", show: (worker) => <State value={worker.state} /> },
    { name: "Since", show: (worker) => ago(worker.since, now) },
    { name: "Site", show: (worker) => worker.site },
    { name: "Flavor", show: (worker) => worker.flavor },
    { name: "Busy CPUs", kind: "number", show: (worker) => `${worker.busy_cpus}/${worker.cpus}` },
    { name: "Jobs", kind: "number", show: (worker) => worker.jobs },
    { name: "Cost", kind: "number", show: (worker) => `${decimal(worker.cost_per_hour, 2)}/h` },
    { name: "Reach it", show: (worker) => <Reach worker={worker} fleet={fleet} keyPair={keyOf(worker)} /> },
    { name: "Why", kind: "text", show: (worker) => worker.reason },
    {
      name: "Order",
      show: (worker) =>
        SERVING.includes(worker.state) && (
          <Order text="Drain" path={`${path}/drain`} body={{ worker: worker.name }} done={done} />
        ),
    },
  ];
  return (
    <>
      <p class="empty">{count(fleet.workers.length, "worker")}</p>
      <Table label="Workers" columns={columns} items={fleet.workers} keyOf={(worker) => worker.name} />
    </>
  );
}

/** What is used here of a fleet's spec. */
interface FleetSpecShown {
  readonly compute?: readonly { readonly site: string; readonly name?: string; readonly key?: string | null }[];
}

/** What to type to get to a worker. */
function Reach({ worker, fleet, keyPair }: { worker: WorkerStatus; fleet: FleetStatus; keyPair: string }) {
  const driver = fleet.sites.find((site) => site.site === worker.site)?.driver ?? "";
  const [address] = worker.addresses;
  const cloud = driver === "openstack" || driver === "chameleon";
  if (driver === "local") return <>a process of the provisioner's machine</>;
  if (!address && !(cloud && worker.server)) return null;
  return (
    <details>
      <summary>{address ?? "console"}</summary>
      {address && (
        <>
          <code>ssh -i {keyPair ? `KEY_OF_${keyPair}` : "PRIVATE_KEY"} USER@{address}</code>
          <p class="empty">
            {keyPair ? `The site has the public half of the key pair ${visible(keyPair)}. ` : ""}
            USER is the image's, such as <code>ubuntu</code> or <code>cc</code>.
          </p>
        </>
      )}
      {cloud && worker.server && (
        <>
          <code>openstack console log show {worker.server}</code>
          <br />
          <code>openstack console url show {worker.server}</code>
        </>
      )}
    </details>
  );
}

function Events({ path }: { path: string }) {
  const { data, error } = useData<FleetEvents>(`${path}/events?limit=200`, ["fleet", "worker"]);
  if (!data) return error ? <Problem error={error} /> : <Loading what="events" />;
  if (data.events.length === 0) return <Empty>Nothing has happened.</Empty>;
  return (
    <Table
      label="Events"
      items={[...data.events].sort((a, b) => b.id - a.id)}
      keyOf={(event) => event.id}
      columns={[
        { name: "Time", show: (event) => <Time at={event.time} /> },
        { name: "Event", show: (event) => event.action },
        { name: "Site", show: (event) => event.site },
        { name: "Worker", kind: "id", show: (event) => event.worker },
        { name: "Why", kind: "text", show: (event) => event.reason },
      ]}
    />
  );
}
