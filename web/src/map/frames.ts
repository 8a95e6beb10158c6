// Frames of the animation: what was observed, then the leads of the newest nowcast.
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, get } from "../api/client";
import { useData } from "../api/data";
import type { Frames, HailFrame, NowcastFrame, NowcastShown } from "../api/types";

type Collection = GeoJSON.FeatureCollection;

export interface Frame {
  /** Unique: the run and its lead. */
  readonly key: string;
  readonly validAt: string;
  /** Minutes after the data; null for what was observed. */
  readonly leadMin: number | null;
  readonly run: string;
  /** Its lead in that run, in minutes; null if the run has no nowcast. */
  readonly lead: number | null;
  readonly product: number | null;
  readonly contours: Collection;
}

export interface Shown {
  /** Nowcasts of which the newest is shown, as "workflow" or "workflow radar". */
  readonly lines: readonly string[];
  readonly line: string;
  readonly frames: readonly Frame[];
  /** Index of the newest observation: where to start. */
  readonly first: number;
  /** Whether nothing is shown because nothing was published, rather than because it is still on its way. */
  readonly none: boolean;
  /** Hail that there is, the oldest first. */
  readonly hail: readonly HailFrame[];
  readonly error: ApiError | undefined;
}

/** Observations kept in the browser; what was observed does not change. */
const observed = new Map<string, Promise<NowcastShown>>();
const MOST_OBSERVED = 200;
const NOTHING: Collection = { type: "FeatureCollection", features: [] };

/**
 * The frames of one line of nowcasts.
 *
 * `run` asks for the leads of an older nowcast, and `past` for so many observations before it.
 */
export function useFrames(asked: { line: string; run: string; past: number }): Shown {
  const { data: known, error } = useData<Frames>("/v1/map/frames", ["product"], 60_000);
  const nowcasts = known?.nowcasts ?? [];
  const lines = [...new Set(nowcasts.map(lineOf))].sort();
  const asRun = nowcasts.find((nowcast) => nowcast.run === asked.run);
  const newest = newestOf(nowcasts);
  const line = asRun ? lineOf(asRun) : lines.includes(asked.line) ? asked.line : newest ? lineOf(newest) : "";
  const inLine = nowcasts.filter((nowcast) => lineOf(nowcast) === line);
  const shown = asRun ?? newestOf(inLine);
  const before = shown && asked.past > 0 ? inLine.slice(0, inLine.indexOf(shown)).slice(-asked.past) : [];
  const names = before.map((nowcast) => nowcast.run).join();
  const leads = useData<NowcastShown>(shown ? `/v1/map/nowcasts/${encodeURIComponent(shown.run)}` : null);
  const past = useObserved(names);
  // While the next nowcast loads, the one before stays.
  const [last, setLast] = useState<NowcastShown>();
  useEffect(() => {
    if (leads.data) setLast(leads.data);
  }, [leads.data]);
  const nowcast = leads.data ?? last;
  const frames = useMemo(() => {
    if (known && nowcasts.length === 0) return framesOfHail(known.hail, asked.past);
    if (!nowcast) return [];
    const old = past.filter((one) => one.issued_at < nowcast.issued_at).flatMap((one) => framesOf(one).slice(0, 1));
    return [...old.map((frame) => ({ ...frame, leadMin: null })), ...framesOf(nowcast)];
  }, [nowcast, past, known, nowcasts.length, asked.past]);
  const newestFrame = frames.findIndex((frame) => frame.run === nowcast?.run);
  const first = newestFrame >= 0 ? newestFrame : Math.max(0, frames.length - 1);
  const none = known !== undefined && nowcasts.length === 0 && known.hail.length === 0;
  return { lines, line, frames, first, none, hail: known?.hail ?? [], error: error ?? leads.error };
}

/** A nowcast of a clock that is ahead would stay the newest for as long: it is shown only if there is no other. */
function newestOf(nowcasts: readonly NowcastFrame[]): NowcastFrame | undefined {
  return nowcasts.findLast((nowcast) => !nowcast.ahead) ?? nowcasts.at(-1);
}

function lineOf({ workflow, radar }: { workflow: string; radar: string }): string {
  return radar ? `${workflow} ${radar}` : workflow;
}

function framesOf(nowcast: NowcastShown): readonly Frame[] {
  return nowcast.leads.map((lead) => ({
    key: `${nowcast.run}-${lead.lead_min}`,
    validAt: lead.valid_at,
    leadMin: lead.lead_min === 0 ? null : lead.lead_min,
    run: nowcast.run,
    lead: lead.lead_min,
    product: lead.product,
    contours: lead.contours as unknown as Collection,
  }));
}

/** Without nowcasts, the times at which radars looked for hail. */
function framesOfHail(hail: readonly HailFrame[], past: number): readonly Frame[] {
  const byTime = new Map(hail.filter((one) => one.valid_at && !one.ahead).map((one) => [one.valid_at ?? "", one.run]));
  const times = [...byTime.keys()].sort().slice(-past - 1);
  return times.map((at) => ({
    key: `hail-${at}`,
    validAt: at,
    leadMin: null,
    run: byTime.get(at) ?? "",
    lead: null,
    product: null,
    contours: NOTHING,
  }));
}

/** The observations that earlier nowcasts began with; those that are gone are left out. */
function useObserved(names: string): readonly NowcastShown[] {
  const [found, setFound] = useState<readonly NowcastShown[]>([]);
  useEffect(() => {
    let wanted = true;
    const asked = names.split(",").filter(Boolean);
    void Promise.all(asked.map((run) => observation(run).catch(() => undefined))).then((all) => {
      if (wanted) setFound(all.filter((one) => one !== undefined));
    });
    return () => {
      wanted = false;
    };
  }, [names]);
  return found;
}

function observation(run: string): Promise<NowcastShown> {
  const known = observed.get(run);
  if (known) return known;
  const asked = get<NowcastShown>(`/v1/map/nowcasts/${encodeURIComponent(run)}?lead=0`);
  observed.set(run, asked);
  asked.catch(() => observed.delete(run));
  for (const oldest of [...observed.keys()].slice(0, -MOST_OBSERVED)) observed.delete(oldest);
  return asked;
}
