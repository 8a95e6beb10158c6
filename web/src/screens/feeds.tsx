// How files come: each feed with its radars, what arrived, and what was refused and why.
import { type Page, useData, useList, useNow } from "../api/data";
import type { ArrivalItem, FeedItem, FeedRadar } from "../api/types";
import type { ScreenProps } from "../app";
import { fileName, visible } from "../names";
import { bytes } from "../numbers";
import { address, go, pathOf, setParameters, useRoute } from "../route";
import { ago, since, span } from "../times";
import { Choice, type Column, Empty, Facts, Filter, Loading, Problem, State, Table, Time } from "../ui/parts";
import { FeedTabs, Reviews } from "./reviews";

const STATES = ["accepted", "duplicate", "quarantined", "released", "dropped"];
const WINDOWS = [
  ["", "any time"],
  ["1h", "last hour"],
  ["1d", "last day"],
  ["7d", "last 7 days"],
] as const;

export function FeedsScreen({ rest }: ScreenProps) {
  const { data, error } = useData<Page<FeedItem>>("/v1/feeds", ["arrival", "problem"], 10_000);
  const { query } = useRoute();
  const [name] = rest;
  if (name === undefined && query.get("show") === "reviews") return <Reviews />;
  if (!data) return error ? <Problem error={error} /> : <Loading what="feeds" />;
  if (name === undefined) return <FeedList feeds={data.items} />;
  const feed = data.items.find((item) => item.name === name);
  return feed ? <FeedPage feed={feed} /> : <Empty>No feed is called {name}.</Empty>;
}

function FeedList({ feeds }: { feeds: readonly FeedItem[] }) {
  const now = useNow();
  const columns: readonly Column<FeedItem>[] = [
    { name: "Feed", show: (feed) => <a href={pathOf("feeds", feed.name)}>{feed.name}</a> },
    { name: "State", show: (feed) => feed.state && <State value={feed.state} /> },
    { name: "Kind", show: (feed) => feed.kind },
    { name: "Newest data", show: (feed) => ago(feed.last_valid_at, now) },
    { name: "Last file", show: (feed) => ago(feed.last_arrival_at, now) },
    { name: "Radars", kind: "number", show: (feed) => feed.per_radar.length || "" },
    { name: "Runs at work", kind: "number", show: (feed) => feed.waiting },
    {
      name: "Quarantined",
      kind: "number",
      show: (feed) =>
        feed.quarantined > 0 && (
          <a href={address("/feeds", { show: "reviews", feed: feed.name })}>{feed.quarantined} to review</a>
        ),
    },
  ];
  return (
    <>
      <h1>Feeds</h1>
      <FeedTabs />
      {feeds.length === 0 ? (
        <Empty>No feed is configured.</Empty>
      ) : (
        <Table
          label="Feeds"
          columns={columns}
          items={feeds}
          keyOf={(feed) => feed.name}
          open={(feed) => go(pathOf("feeds", feed.name))}
        />
      )}
    </>
  );
}

function FeedPage({ feed }: { feed: FeedItem }) {
  const now = useNow();
  const columns: readonly Column<FeedRadar>[] = [
    { name: "Radar", show: (radar) => radar.radar || "all" },
    { name: "State", show: (radar) => <State value={radar.state} /> },
    { name: "Newest data", show: (radar) => ago(radar.last_valid_at, now) },
    { name: "Late after", show: (radar) => span(radar.late_after_s) },
    { name: "Why", kind: "text", show: (radar) => radar.reason },
  ];
  return (
    <>
      <p>
        <a href="/feeds">Feeds</a> ›
      </p>
      <h1>{feed.name}</h1>
      <Facts
        facts={[
          ["State", feed.state && <State value={feed.state} />],
          ["Kind", feed.kind],
          ["Newest data", feed.last_valid_at && <Time at={feed.last_valid_at} />],
          ["Last file", feed.last_arrival_at && <Time at={feed.last_arrival_at} />],
          ["Runs at work", String(feed.waiting)],
          ["Quarantined", String(feed.quarantined)],
        ]}
      />
      {feed.per_radar.length > 0 && (
        <Table label="Radars" columns={columns} items={feed.per_radar} keyOf={(radar) => radar.radar} />
      )}
      <Arrivals feed={feed} />
    </>
  );
}

const ARRIVALS: readonly Column<ArrivalItem>[] = [
  { name: "Came", show: (file) => <Time at={file.detected_at} /> },
  { name: "State", show: (file) => <State value={file.state} /> },
  { name: "File", kind: "text", show: (file) => <span title={file.path}>{fileName(file.path)}</span> },
  { name: "Radar", show: (file) => file.radar },
  { name: "Data of", show: (file) => <Time at={file.valid_at} /> },
  { name: "Size", kind: "number", show: (file) => bytes(file.bytes) },
  { name: "Why", kind: "text", show: (file) => visible(file.reason) },
  {
    name: "Became",
    show: (file) =>
      file.state === "accepted" && <a href={address("/assets", { show: "lineage", arrival: String(file.id) })}>lineage</a>,
  },
  { name: "Decisions", show: (file) => <a href={address("/decisions", { run: file.path })}>what it started</a> },
];

function Arrivals({ feed }: { feed: FeedItem }) {
  const { query } = useRoute();
  const now = useNow(60_000);
  const value = (name: string) => query.get(name) ?? "";
  const asked = { feed: feed.name, state: value("state"), radar: value("radar") };
  const list = useList<ArrivalItem>(
    address("/v1/arrivals", { ...asked, since: since(value("since"), now) ?? "" }),
    ["arrival"],
  );
  return (
    <>
      <h2>Files</h2>
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <Filter label="radar" value={value("radar")} choose={(radar) => setParameters({ radar })} />
        <Choice
          label="state"
          value={value("state")}
          options={[["", "any"], ...STATES.map((state) => [state, state] as const)]}
          choose={(state) => setParameters({ state })}
        />
        <Choice label="came" value={value("since")} options={WINDOWS} choose={(window) => setParameters({ since: window })} />
      </form>
      <Problem error={list.error} />
      {list.data?.length === 0 && <Empty>No file is like that.</Empty>}
      {list.data && list.data.length > 0 && (
        <Table label="Files" columns={ARRIVALS} items={list.data} keyOf={(file) => file.id} />
      )}
      {list.more && (
        <p>
          <button type="button" onClick={list.more}>
            Older files
          </button>
        </p>
      )}
    </>
  );
}
