// What waits for a person: files that intake refused, and runs that a check kept back, to look at and decide on.
import { useState } from "preact/hooks";
import { type Page, useData } from "../api/data";
import { useMay } from "../api/session";
import type { CheckItem, ReviewItem } from "../api/types";
import { fileName, visible } from "../names";
import { bytes, decimal } from "../numbers";
import { address, go, pathOf, setParameters, useRoute } from "../route";
import { Drawing } from "../ui/files";
import { Order } from "../ui/order";
import { Choice, type Column, Empty, Facts, Filter, Loading, Problem, State, Table, Time } from "../ui/parts";

const STATES = [
  ["", "waiting"],
  ["released", "released"],
  ["dropped", "dropped"],
] as const;
const nameOf = (item: ReviewItem) => fileName(item.path) || item.id;

export function Reviews() {
  const { query } = useRoute();
  const value = (name: string) => query.get(name) ?? "";
  const [told, setTold] = useState("");
  const { data, error, again } = useData<Page<ReviewItem>>(
    address("/v1/reviews", { state: value("state"), feed: value("feed") }),
    ["arrival", "run", "decision"],
  );
  const to = (item: ReviewItem) => {
    const next = new URLSearchParams(query);
    next.set("item", item.id);
    return address("/feeds", next);
  };
  const columns: readonly Column<ReviewItem>[] = [
    { name: "Since", show: (item) => <Time at={item.since} /> },
    {
      name: "What",
      kind: "text",
      show: (item) => (
        <a href={to(item)} aria-current={item.id === value("item") ? "true" : undefined}>
          {item.kind === "run" ? `run ${item.id}` : nameOf(item)}
        </a>
      ),
    },
    { name: "From", show: (item) => item.source },
    { name: "Why", kind: "text", show: (item) => visible(item.reason) },
  ];
  const items = data?.items ?? [];
  const item = items.find((one) => one.id === value("item")) ?? (value("item") ? undefined : items[0]);
  const decided = (what: string) => {
    setTold(what);
    setParameters({ item: "" });
    again();
  };
  return (
    <>
      <h1>Review</h1>
      <FeedTabs />
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="state"
          value={value("state")}
          options={STATES}
          choose={(state) => setParameters({ state, item: "" })}
        />
        <Filter label="feed" value={value("feed")} choose={(feed) => setParameters({ feed, item: "" })} />
      </form>
      <p role="status" class="empty">
        {told}
      </p>
      <Problem error={error} />
      {!data && !error && <Loading what="what waits" />}
      {data && items.length === 0 && (
        <Empty>{value("state") ? `Nothing is ${value("state")}.` : "Nothing waits for a person."}</Empty>
      )}
      {data && value("item") && !item && <Empty>{value("item")} is not in this list.</Empty>}
      {item && <Look key={item.id} item={item} decided={decided} />}
      {items.length > 0 && (
        <Table label="Waiting" columns={columns} items={items} keyOf={(one) => one.id} open={(one) => go(to(one))} />
      )}
    </>
  );
}

export function FeedTabs() {
  const reviews = useRoute().query.get("show") === "reviews";
  return (
    <nav class="tabs" aria-label="Parts of feeds">
      <a href="/feeds" aria-current={reviews ? undefined : "page"}>
        Feeds
      </a>
      <a href={address("/feeds", { show: "reviews" })} aria-current={reviews ? "page" : undefined}>
        Review
      </a>
    </nav>
  );
}

const CHECKS: readonly Column<CheckItem>[] = [
  { name: "Check", show: (check) => check.check },
  { name: "Severity", show: (check) => <State value={check.severity} /> },
  { name: "Value", kind: "number", show: (check) => decimal(check.value, 2) },
  { name: "Limit", kind: "number", show: (check) => decimal(check.limit, 2) },
  { name: "Where", kind: "text", show: (check) => visible(check.place) },
  { name: "File", kind: "text", show: (check) => <span title={check.file}>{fileName(check.file)}</span> },
];

function Look({ item, decided }: { item: ReviewItem; decided: (what: string) => void }) {
  const may = useMay("order");
  return (
    <section class="review card" aria-label={`Review of ${item.id}`}>
      {item.drawable && (
        <figure>
          <Drawing path={`/v1${pathOf("reviews", item.id, "picture")}`} alt={`What can be read of ${nameOf(item)}`} />
        </figure>
      )}
      <div>
        <h2>{item.kind === "run" ? <a href={pathOf("runs", item.id)}>Run {item.id}</a> : nameOf(item)}</h2>
        <p>
          <State value={item.state} /> {visible(item.reason)}
        </p>
        <Facts
          facts={[
            [item.kind === "run" ? "Workflow" : "Feed", item.source],
            ["Since", <Time key="s" at={item.since} />],
            ["Size", bytes(item.bytes)],
            ["File", item.path && <code>{visible(item.path)}</code>],
            ["Now", !item.drawable && "the file is gone"],
          ]}
        />
        {item.checks.length > 0 && (
          <Table label="Checks" columns={CHECKS} items={item.checks} keyOf={(check) => check.id} />
        )}
        {may && item.state === "quarantined" && <Decide item={item} decided={decided} />}
      </div>
    </section>
  );
}

function Decide({ item, decided }: { item: ReviewItem; decided: (what: string) => void }) {
  const [reason, setReason] = useState("");
  const path = (what: string) => `/v1${pathOf("reviews", item.id, what)}`;
  const body = { reason: reason.trim() };
  const told = (what: string) => (answer: unknown) => {
    if (answer !== undefined) decided(`${what} ${item.kind === "run" ? `run ${item.id}` : nameOf(item)}.`);
  };
  const run = item.kind === "run";
  return (
    <form class="bar" onSubmit={(event) => event.preventDefault()}>
      <label class="choice wide">
        <span>reason (kept with the decision)</span>
        <input
          value={reason}
          maxLength={255}
          required
          autocomplete="off"
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      <Order text="Release" path={path("release")} body={body} disabled={!body.reason} done={told("Released")} />
      <Order text="Drop" path={path("drop")} body={body} disabled={!body.reason} done={told("Dropped")} />
      <small class="empty">
        {run
          ? "Release publishes the run. Drop leaves it unpublished for good."
          : "Release has the file examined once more. Drop deletes it for good."}
      </small>
    </form>
  );
}
