// Old data made again: what it would cost first, then the order, then how far it is.
import { useState } from "preact/hooks";
import { type Page, useData } from "../api/data";
import { useMay } from "../api/session";
import type { BackfillItem, BackfillPlan, FeedItem, ServiceItem, WorkflowList } from "../api/types";
import { visible } from "../names";
import { decimal } from "../numbers";
import { address, pathOf, setParameters, useRoute } from "../route";
import { Order, useOrder } from "../ui/order";
import { ParameterFields, parametersOf } from "../ui/parameters";
import { Card, Choice, type Column, Empty, Facts, Filter, Input, Loading, Problem, State, Table, Time } from "../ui/parts";
import { AssetTabs } from "./asset-tabs";

export function Backfills() {
  const { data, error, again } = useData<Page<BackfillItem>>("/v1/backfills", ["run", "decision"], 5000);
  const may = useMay("order");
  return (
    <>
      <h1>Backfills</h1>
      <AssetTabs />
      {may && <Plan started={again} />}
      <Problem error={error} />
      {!data && !error && <Loading what="backfills" />}
      {data?.items.length === 0 && <Empty>There are no backfills.</Empty>}
      {data && data.items.length > 0 && <List items={data.items} again={again} />}
    </>
  );
}

function List({ items, again }: { items: readonly BackfillItem[]; again: () => void }) {
  const columns: readonly Column<BackfillItem>[] = [
    { name: "Backfill", kind: "id", show: (item) => item.id },
    { name: "State", show: (item) => <State value={item.state} /> },
    { name: "Of", show: (item) => `${item.trigger === "backfill" ? item.workflow : item.trigger}${item.name && `@${item.name}`}` },
    {
      name: "Range",
      show: (item) => (
        <>
          <Time at={item.since} /> – <Time at={item.until} />
        </>
      ),
    },
    { name: "Done", show: (item) => <Progress item={item} /> },
    { name: "Orders", show: (item) => <Change item={item} again={again} /> },
    { name: "Why", kind: "text", show: (item) => visible(item.reason) },
  ];
  return <Table label="Backfills" columns={columns} items={items} keyOf={(item) => item.id} />;
}

function Progress({ item }: { item: BackfillItem }) {
  const [from, to] = [Date.parse(item.since), Date.parse(item.until)];
  const at = item.position === null ? from : Date.parse(item.position);
  const part = item.state === "done" || item.phase === "finish" ? 1 : Math.min(1, Math.max(0, (at - from) / (to - from)));
  const { succeeded = 0, failed = 0 } = item.runs;
  return (
    <>
      <progress value={part} aria-label={`Looked at ${Math.round(part * 100)} % of the range`} />{" "}
      <a href={address("/runs", { trigger: item.trigger })}>
        {succeeded} of {item.made} runs
      </a>
      {failed > 0 && <>, {failed} failed</>}
      {item.up_to_date > 0 && <>, {item.up_to_date} up to date</>}
      {item.gone > 0 && <>, {item.gone} without input</>}
    </>
  );
}

/** What may be done with it. */
function Change({ item, again }: { item: BackfillItem; again: () => void }) {
  const path = (what: string) => `/v1${pathOf("backfills", item.id, what)}`;
  const open = item.state === "active" || item.state === "paused";
  return (
    <span class="bar">
      {item.state === "active" && <Order text="Pause" path={path("pause")} done={again} />}
      {item.state === "paused" && <Order text="Resume" path={path("resume")} done={again} />}
      {open && <Order text="Cancel" path={path("cancel")} done={again} />}
      {item.name && item.state !== "active" && !item.promoted && (
        <Order text="Promote" path={path("promote")} done={again} />
      )}
    </span>
  );
}

/** The dialogue: what to make again, the plan, and the order. */
function Plan({ started }: { started: () => void }) {
  const { query } = useRoute();
  const value = (name: string) => query.get(name) ?? "";
  const services = useData<Page<ServiceItem>>("/v1/services");
  const workflows = useData<WorkflowList>("/v1/workflows");
  const feeds = useData<Page<FeedItem>>("/v1/feeds");
  const planning = useOrder();
  const ordering = useOrder();
  const [plan, setPlan] = useState<{ of: string; plan: BackfillPlan }>();
  const triggers = (services.data?.items ?? []).filter((item) => item.kind === "continuous");
  const what = value("what");
  const trigger = triggers.find((one) => one.name === what);
  const workflow = workflows.data?.items.find((one) => one.name === (trigger ? trigger.workflow : what));
  // What the trigger sets is what its runs have by default.
  const parameters = (workflow?.parameters ?? []).map((one) =>
    trigger && one.name in trigger.parameters ? { ...one, default: trigger.parameters[one.name] } : one,
  );
  const body = {
    what,
    since: value("from") && `${value("from")}Z`,
    until: value("to") && `${value("to")}Z`,
    radars: value("radars").split(/[\s,]+/).filter(Boolean),
    parameters: parametersOf(parameters, query),
    name: value("as"),
    at_most: Number(value("at_most") || 1),
    ...(trigger || !value("feed") ? {} : { feed: value("feed") }),
  };
  const about = JSON.stringify(body);
  const ready = what && body.since && body.until && (trigger || value("feed"));
  const shown = plan?.of === about ? plan.plan : undefined;
  const ask = async (event: Event) => {
    event.preventDefault();
    const found = await planning.send<BackfillPlan>("/v1/backfills/plan", body);
    setPlan(found && { of: about, plan: found });
  };
  const start = async () => {
    if ((await ordering.send("/v1/backfills", body)) === undefined) return;
    setPlan(undefined);
    setParameters({ what: "" });
    started();
  };
  const range = (name: string, label: string) => (
    <label class="choice">
      <span>{label}</span>
      <Input type="datetime-local" value={value(name)} required choose={(text) => setParameters({ [name]: text })} />
    </label>
  );
  return (
    <details class="card" open={what !== ""}>
      <summary>Make old data again</summary>
      <form onSubmit={(event) => void ask(event)}>
        <div class="bar">
          <Choice
            label="trigger or workflow"
            value={what}
            options={[
              ["", "choose…"],
              ...triggers.map((one) => [one.name, `trigger ${one.name}`] as const),
              ...(workflows.data?.items ?? []).map((one) => [one.name, `workflow ${one.name}`] as const),
            ]}
            choose={(chosen) => setParameters({ what: chosen })}
          />
          {workflow && !trigger && (
            <Choice
              label="files of feed"
              value={value("feed")}
              options={[["", "choose…"], ...(feeds.data?.items ?? []).map((feed) => [feed.name, feed.name] as const)]}
              choose={(feed) => setParameters({ feed })}
            />
          )}
          {range("from", "from (UTC)")}
          {range("to", "until (UTC)")}
          <Filter label="radars (all)" value={value("radars")} choose={(radars) => setParameters({ radars })} />
          <Filter label="publish as (current)" value={value("as")} choose={(name) => setParameters({ as: name })} />
          <label class="choice">
            <span>runs at once</span>
            <Input
              type="number"
              min={1}
              max={1000}
              value={value("at_most") || "1"}
              choose={(text) => setParameters({ at_most: text })}
            />
          </label>
        </div>
        {parameters.length > 0 && <ParameterFields parameters={parameters} />}
        <Problem error={services.error ?? workflows.error ?? feeds.error ?? planning.error ?? ordering.error} />
        {shown && <Told plan={shown} />}
        <button type="submit" disabled={!ready || planning.busy}>
          {planning.busy ? "Planning…" : "Plan"}
        </button>{" "}
        {shown && (
          <button type="button" class="strong" disabled={ordering.busy || shown.runs === 0} onClick={() => void start()}>
            Start {shown.runs.toLocaleString("en-US")} {shown.runs === 1 ? "run" : "runs"}
          </button>
        )}
      </form>
    </details>
  );
}

const short = (value: number) => String(Number(value.toPrecision(3)));

function Told({ plan }: { plan: BackfillPlan }) {
  return (
    <Card title="Plan">
      <Facts
        facts={[
          ["Runs to make", plan.runs.toLocaleString("en-US")],
          ["Up to date", String(plan.up_to_date)],
          ["Not started by the trigger", String(plan.refused)],
          ["Input gone", String(plan.gone)],
          ["Core-hours", short(plan.core_h)],
          ["Hours, without live work", short(plan.hours)],
          ["Cost", plan.cost === null ? "no price known" : decimal(plan.cost, 2)],
        ]}
      />
      {plan.gone_inputs.length > 0 && (
        <ul>
          {plan.gone_inputs.slice(0, 5).map((reason) => (
            <li key={reason}>{visible(reason)}</li>
          ))}
        </ul>
      )}
    </Card>
  );
}
