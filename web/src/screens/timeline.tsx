// Runs by workflow and workers by site on one axis of time.
import { useMemo } from "preact/hooks";
import { useData, useNow } from "../api/data";
import type { TimelineShown } from "../api/types";
import { address, setParameters, useRoute } from "../route";
import { clockTime, since, span } from "../times";
import { usePreferences } from "../preferences";
import { Chart, type Curve } from "../ui/chart";
import { Choice, Empty, Loading, Problem, State } from "../ui/parts";

const WINDOWS = [
  ["1h", "last hour"],
  ["6h", "last 6 hours"],
  ["1d", "last day"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
] as const;
/** From the bottom of a bar up; what went wrong stands out at the bottom. */
const ORDER = ["failed", "held", "cancelled", "skipped", "succeeded", "publishing", "running", "submitted", "planned", "created"];
const HEIGHT = 90;
const WIDTH = 1000;

export function TimelineScreen() {
  const { query } = useRoute();
  usePreferences();
  const now = useNow(60_000);
  const window = query.get("since") ?? "1d";
  const path = address("/v1/timeline", { since: since(window, now) ?? "" });
  const { data, error } = useData<TimelineShown>(path, ["run", "worker"]);
  return (
    <>
      <h1>Timeline</h1>
      <div class="bar">
        <Choice label="range" value={window} options={WINDOWS} choose={(text) => setParameters({ since: text })} />
      </div>
      <Problem error={error} />
      {data === undefined ? !error && <Loading what="the timeline" /> : <Lanes timeline={data} />}
    </>
  );
}

function Lanes({ timeline }: { timeline: TimelineShown }) {
  const workflows = [...new Set(timeline.runs.map((bucket) => bucket.workflow))].sort();
  if (workflows.length === 0 && timeline.workers.length === 0) return <Empty>Nothing ran in this time.</Empty>;
  return (
    <>
      {workflows.map((workflow) => (
        <Lane key={workflow} timeline={timeline} workflow={workflow} />
      ))}
      <Axis timeline={timeline} />
      {timeline.workers.length > 0 && <Workers timeline={timeline} />}
    </>
  );
}

/** How often runs of a workflow were created, each part of the range a bar of states. */
function Lane({ timeline, workflow }: { timeline: TimelineShown; workflow: string }) {
  const mine = timeline.runs.filter((bucket) => bucket.workflow === workflow);
  const begin = Date.parse(timeline.since);
  const length = Date.parse(timeline.until) - begin;
  const bars = new Map<string, typeof mine>();
  for (const bucket of mine) bars.set(bucket.at, [...(bars.get(bucket.at) ?? []), bucket]);
  const total = (buckets: typeof mine) => buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  const most = Math.max(1, ...[...bars.values()].map(total));
  const width = Math.max(3, (timeline.bucket_s * 1000 * WIDTH) / length - 0.5);
  const states = ORDER.filter((state) => mine.some((bucket) => bucket.state === state));
  const slowest = Math.max(...mine.map((bucket) => bucket.p95_s ?? 0));
  return (
    <section class="lane">
      <h2>
        <a href={address("/runs", { workflow })}>{workflow}</a>
      </h2>
      <p class="legend">
        {states.map((state) => (
          <a key={state} class="count" href={address("/runs", { workflow, state })}>
            {total(mine.filter((bucket) => bucket.state === state))} <State value={state} />
          </a>
        ))}
        <span>
          at most {most} in {span(timeline.bucket_s)}; slowest p95 {span(slowest)}
        </span>
      </p>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${total(mine)} runs of ${workflow} over time`}
      >
        {[...bars].map(([at, buckets]) => {
          let y = HEIGHT;
          return (
            <g key={at}>
              <title>{told(at, buckets)}</title>
              {ORDER.flatMap((state) => buckets.filter((bucket) => bucket.state === state)).map((bucket) => {
                const height = (bucket.count / most) * (HEIGHT - 4);
                y -= height;
                const x = Math.max(0, ((Date.parse(at) - begin) / length) * WIDTH);
                return (
                  <rect key={bucket.state} class={`run-${bucket.state}`} x={x} y={y} width={width} height={height} />
                );
              })}
            </g>
          );
        })}
      </svg>
    </section>
  );
}

function told(at: string, buckets: TimelineShown["runs"]): string {
  const lines = buckets.map(
    ({ state, count, p50_s, p95_s }) =>
      `${count} ${state}${p50_s === null ? "" : `, half within ${span(p50_s)}, 95 % within ${span(p95_s)}`}`,
  );
  return [clockTime(at), ...lines].join("\n");
}

function Axis({ timeline }: { timeline: TimelineShown }) {
  const begin = Date.parse(timeline.since);
  const end = Date.parse(timeline.until);
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => new Date(begin + part * (end - begin)).toISOString());
  return (
    <p class="axis">
      {marks.map((at) => (
        <time key={at} dateTime={at}>
          {clockTime(at, { seconds: false })}
        </time>
      ))}
    </p>
  );
}

const COLORS = ["busy", "warn", "good", "bad", "idle"];
const DASHES: readonly (readonly number[])[] = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

function Workers({ timeline }: { timeline: TimelineShown }) {
  const { times, curves } = useMemo(() => {
    const ats = [...new Set(timeline.workers.map((bucket) => bucket.at))].sort();
    const sites = [...new Set(timeline.workers.map((bucket) => bucket.site))].sort();
    const of = new Map(timeline.workers.map((bucket) => [`${bucket.site} ${bucket.at}`, bucket.workers]));
    const drawn: Curve[] = sites.map((site, index) => ({
      label: site,
      values: ats.map((at) => of.get(`${site} ${at}`) ?? 0),
      color: COLORS[index % COLORS.length] ?? "busy",
      dash: DASHES[index % DASHES.length] ?? [],
      steps: true,
    }));
    const begin = Date.parse(timeline.since) / 1000;
    const end = Date.parse(timeline.until) / 1000;
    return {
      times: [begin, ...ats.map((at) => Date.parse(at) / 1000), end],
      curves: drawn.map((curve) => ({ ...curve, values: [null, ...curve.values, null] })),
    };
  }, [timeline]);
  return (
    <section class="lane">
      <h2>Workers by site</h2>
      <Chart label="Workers of each site over time" times={times} curves={curves} unit="workers" />
    </section>
  );
}
