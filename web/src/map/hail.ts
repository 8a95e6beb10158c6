// Hail areas of the times that are played.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get } from "../api/client";
import type { Page } from "../api/data";
import type { HailFrame, HailShown } from "../api/types";
import type { Frame } from "./frames";

/** Hail is shown until the radar looks again, and no longer than this. */
const LASTS_MS = 10 * 60_000;
/** Clocks of feeds and radars differ by less. */
const SLACK_MS = 30_000;
/** What the server takes in one request. */
const TOGETHER = 50;
const MOST_KEPT = 600;

/** What a run found does not change; null while it is on its way. */
const kept = new Map<string, readonly HailShown[] | null>();

const timeOf = (frame: { valid_at?: string | null }) => Date.parse(frame.valid_at ?? "");

/** The hail areas at the time of a frame. */
export function useHail(hail: readonly HailFrame[], frames: readonly Frame[], shown: Frame | undefined): GeoJSON.FeatureCollection {
  const begin = Date.parse(frames[0]?.validAt ?? "");
  const wanted = useMemo(
    () => hail.filter((one) => !one.ahead && (Number.isNaN(begin) || timeOf(one) >= begin - LASTS_MS)),
    [hail, begin],
  );
  const [loaded, setLoaded] = useState(0);
  useEffect(() => {
    let here = true;
    const missing = [...new Set(wanted.map((one) => one.run))].filter((run) => !kept.has(run));
    for (const run of missing) kept.set(run, null);
    for (let first = 0; first < missing.length; first += TOGETHER)
      void load(missing.slice(first, first + TOGETHER)).then(() => here && setLoaded((count) => count + 1));
    return () => {
      here = false;
    };
  }, [wanted]);
  const at = shown?.validAt ?? "";
  return useMemo(
    () => ({ type: "FeatureCollection", features: current(wanted, Date.parse(at)).flatMap(featuresOf) }),
    // What has been loaded changes what is known.
    [wanted, at, loaded],
  );
}

async function load(runs: readonly string[]): Promise<void> {
  try {
    const query = runs.map((run) => `run=${encodeURIComponent(run)}`).join("&");
    const found = await get<Page<HailShown>>(`/v1/map/hail?${query}`);
    for (const run of runs) kept.set(run, found.items.filter((one) => one.run === run));
  } catch {
    // One that is gone fails all of them: the others are asked for one by one.
    if (runs.length > 1) for (const run of runs) await load([run]);
    else for (const run of runs) kept.set(run, []);
  }
  for (const oldest of [...kept.keys()].slice(0, -MOST_KEPT)) kept.delete(oldest);
}

/** The newest of each radar and workflow that is not too old at a time. */
function current(hail: readonly HailFrame[], at: number): readonly HailFrame[] {
  const found = new Map<string, HailFrame>();
  for (const one of hail) {
    const age = at - timeOf(one);
    const line = `${one.workflow} ${one.radar}`;
    const before = found.get(line);
    if (age >= -SLACK_MS && age < LASTS_MS && !(before && timeOf(before) > timeOf(one))) found.set(line, one);
  }
  return [...found.values()];
}

function featuresOf(frame: HailFrame): GeoJSON.Feature[] {
  return (kept.get(frame.run) ?? []).flatMap((shown) => {
    const said = { radar: shown.radar, valid_at: shown.valid_at, run: shown.run, product: shown.product };
    const areas = shown.areas.features as unknown as GeoJSON.Feature[];
    return areas.map((area) => ({ ...area, properties: { ...area.properties, ...said } }));
  });
}
