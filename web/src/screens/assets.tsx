// What data there are: each asset with how fresh it is, its days, its gaps, and how it was made.
import { type Page, useData, useNow } from "../api/data";
import type { AssetDetail, AssetItem, MakingItem } from "../api/types";
import type { ScreenProps } from "../app";
import { bytes, count } from "../numbers";
import { address, go, pathOf, setParameters, useRoute } from "../route";
import { ago, since, span } from "../times";
import { fileName, RUN } from "../names";
import { Choice, type Column, Empty, Facts, Filter, Loading, Problem, State, Table, Time } from "../ui/parts";
import { AssetTabs } from "./asset-tabs";
import { Backfills } from "./backfills";
import { Lineage } from "./lineage";

const WINDOWS = [
  ["1d", "last day"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
  ["365d", "last year"],
] as const;

export function AssetsScreen({ rest }: ScreenProps) {
  const { query } = useRoute();
  if (rest.length === 0 && query.get("show") === "backfills") return <Backfills />;
  if (rest.length === 0 && query.get("show") === "lineage") return <Lineage />;
  return rest.length === 0 ? <AssetList /> : <AssetPage name={rest.join("/")} />;
}

const assetPath = (name: string) => pathOf("assets", ...name.split("/"));
const newest = (asset: AssetItem) =>
  asset.series.map((series) => series.newest_at).sort().at(-1);

function AssetList() {
  const { data, error } = useData<Page<AssetItem>>("/v1/assets", ["arrival", "product", "problem"], 30_000);
  const now = useNow(5000);
  const sum = (asset: AssetItem, of: "slots" | "bytes") => asset.series.reduce((total, series) => total + series[of], 0);
  const columns: readonly Column<AssetItem>[] = [
    { name: "Asset", show: (asset) => <a href={assetPath(asset.name)}>{asset.name}</a> },
    { name: "State", show: (asset) => asset.state && <State value={asset.state} /> },
    { name: "Kind", show: (asset) => asset.kind },
    { name: "Newest", show: (asset) => newest(asset) && ago(newest(asset), now) },
    { name: "Times", kind: "number", show: (asset) => sum(asset, "slots").toLocaleString("en-US") },
    { name: "Size", kind: "number", show: (asset) => bytes(sum(asset, "bytes")) },
    { name: "Made from", show: (asset) => asset.made_from.join(", ") },
    { name: "What", kind: "text", show: (asset) => asset.description },
  ];
  return (
    <>
      <h1>Assets</h1>
      <AssetTabs />
      <Problem error={error} />
      {data === undefined && !error && <Loading what="assets" />}
      {data?.items.length === 0 && <Empty>No data are declared or known.</Empty>}
      {data && data.items.length > 0 && (
        <Table
          label="Assets"
          columns={columns}
          items={data.items}
          keyOf={(asset) => asset.name}
          open={(asset) => go(assetPath(asset.name))}
        />
      )}
    </>
  );
}

function AssetPage({ name }: { name: string }) {
  const { query } = useRoute();
  const now = useNow(60_000);
  const window = query.get("since") ?? "7d";
  const radar = query.get("radar") ?? "";
  const path = `/v1${assetPath(name)}`;
  const { data: asset, error } = useData<AssetDetail>(
    address(path, { radar, since: since(window, now) ?? "" }),
    ["arrival", "product"],
    60_000,
  );
  return (
    <>
      <p>
        <a href="/assets">Assets</a> ›
      </p>
      <h1>{name}</h1>
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <Choice label="range" value={window} options={WINDOWS} choose={(text) => setParameters({ since: text })} />
        <Filter label="radar" value={radar} choose={(text) => setParameters({ radar: text })} />
      </form>
      <Problem error={error} />
      {asset === undefined ? !error && <Loading what="the asset" /> : <Detail asset={asset} />}
      <History path={path} radar={radar} />
    </>
  );
}

function Detail({ asset }: { asset: AssetDetail }) {
  return (
    <>
      <Facts
        facts={[
          ["State", asset.state && <State value={asset.state} />],
          ["Kind", asset.kind],
          ["Of", asset.of],
          ["Owner", asset.owner],
          ["Every", span(asset.cadence_s)],
          ["Made from", asset.made_from.join(", ")],
          ["Newest", newest(asset) && <Time at={newest(asset)} />],
          ["What", asset.description],
        ]}
      />
      <h2>Days</h2>
      <Days asset={asset} />
      <h2>Gaps</h2>
      {asset.gaps.length === 0 ? (
        <Empty>{asset.cadence_s === null ? "How often it comes is not known, so no gap is." : "No gap in this range."}</Empty>
      ) : (
        <Table
          label="Gaps"
          items={asset.gaps}
          keyOf={(gap) => `${gap.radar} ${gap.trigger} ${gap.begin}`}
          columns={[
            { name: "From", show: (gap) => <Time at={gap.begin} /> },
            { name: "To", show: (gap) => <Time at={gap.end} /> },
            { name: "Missing", show: (gap) => count(gap.missing, "time") },
            { name: "Radar", show: (gap) => gap.radar },
            { name: "Trigger", show: (gap) => gap.trigger },
            { name: "Mend", show: (gap) => gap.trigger && <a href={again(gap)}>make again</a> },
          ]}
        />
      )}
    </>
  );
}

/** The backfill of a gap: times as the form has them, to the minute. */
function again(gap: { trigger: string; radar: string; begin: string; end: string }): string {
  const after = new Date(Date.parse(gap.end) + 60_000).toISOString();
  const range = { from: gap.begin.slice(0, 16), to: after.slice(0, 16) };
  return address("/assets", { show: "backfills", what: gap.trigger, radars: gap.radar, ...range });
}

/** A square for each day and radar: the fuller the day, the darker, with its number. */
function Days({ asset }: { asset: AssetDetail }) {
  const days = [...new Set(asset.days.map((day) => day.day))].sort();
  if (days.length === 0) return <Empty>No data in this range.</Empty>;
  const rows = [...new Set(asset.days.map((day) => [day.radar, day.trigger].filter(Boolean).join(" ")))].sort();
  const most = Math.max(...asset.days.map((day) => day.slots));
  const of = new Map(asset.days.map((day) => [`${[day.radar, day.trigger].filter(Boolean).join(" ")}|${day.day}`, day]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Days with data">
      <table class="days">
        <thead>
          <tr>
            <th scope="col">Series</th>
            {days.map((day) => (
              <th key={day} scope="col" title={day}>
                {day.slice(5)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row}>
              <th scope="row">{row || "all"}</th>
              {days.map((day) => {
                const found = of.get(`${row}|${day}`);
                const part = found ? found.slots / most : 0;
                const step = found ? 1 + Math.min(3, Math.floor(part * 4)) : 0;
                return (
                  <td key={day} class={`day level-${step}`} title={found ? `${day}: ${bytes(found.bytes)}` : `${day}: nothing`}>
                    {found?.slots ?? "–"}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MAKINGS: readonly Column<MakingItem>[] = [
  { name: "Data of", show: (making) => <Time at={making.valid_at} /> },
  { name: "Radar", show: (making) => making.radar },
  { name: "Made", show: (making) => <Time at={making.made_at} /> },
  { name: "Standing", show: (making) => making.standing },
  { name: "Origin", show: (making) => making.origin },
  { name: "Size", kind: "number", show: (making) => bytes(making.bytes) },
  {
    name: "By",
    kind: "text",
    show: (making) =>
      RUN.test(making.name) ? (
        <a href={pathOf("runs", making.name)}>{making.name}</a>
      ) : (
        <span title={making.name}>{fileName(making.name)}</span>
      ),
  },
];

function History({ path, radar }: { path: string; radar: string }) {
  const { data, error } = useData<Page<MakingItem>>(address(`${path}/history`, { radar }), ["arrival", "product"]);
  return (
    <>
      <h2>How the newest were made</h2>
      <Problem error={error} />
      {data?.items.length === 0 && <Empty>Nothing was made yet.</Empty>}
      {data && data.items.length > 0 && (
        <Table
          label="History"
          columns={MAKINGS}
          items={data.items}
          keyOf={(making) => `${making.name} ${making.valid_at} ${making.radar}`}
        />
      )}
    </>
  );
}
