// Lists of runs that follow the stream: an event brings its run as it is now, and nothing is asked for.
import { useMemo } from "preact/hooks";
import { type Asked, type Page, type Patch, useData, useList } from "./data";
import type { RunItem } from "./types";

/** In case an event was not told. */
const RENEW_MS = 30_000;
const PAGE = 50;
const SAME = ["workflow", "trigger", "radar", "owner"] as const;

/** One page of runs. */
export function useRuns(path: string): Asked<Page<RunItem>> {
  return useData<Page<RunItem>>(path, [], RENEW_MS, usePatch(path));
}

/** All pages of runs. */
export function useRunList(path: string) {
  return useList<RunItem>(path, [], RENEW_MS, usePatch(path));
}

function usePatch(path: string): Patch<Page<RunItem>> {
  return useMemo(() => {
    const query = new URLSearchParams(path.split("?")[1] ?? "");
    return (page, event) => (event.item ? withRun(page, event.item, query) : page);
  }, [path]);
}

/** The first page of what a query asks for, with a run as it is now; undefined if what moves up is not known. */
function withRun(page: Page<RunItem>, run: RunItem, query: URLSearchParams): Page<RunItem> | undefined {
  const limit = Number(query.get("limit") ?? PAGE);
  const others = page.items.filter((item) => item.id !== run.id);
  const there = others.length < page.items.length;
  if (!fits(run, query)) {
    if (!there) return page;
    return page.next !== null && others.length < limit / 2 ? undefined : { ...page, items: others };
  }
  const oldest = others.at(-1);
  // It belongs to a later page, or to none.
  if (!there && page.next !== null && oldest && newestFirst(oldest, run) < 0) return page;
  const items = [...others, run].sort(newestFirst);
  // Where the next page begins is for the server to say.
  if (page.next === null ? items.length > limit : items.length > 2 * limit) return undefined;
  return { ...page, items };
}

function fits(run: RunItem, query: URLSearchParams): boolean {
  const states = query.getAll("state");
  const [since, until] = [query.get("since"), query.get("until")];
  const created = Date.parse(run.created_at);
  return (
    SAME.every((name) => !query.get(name) || query.get(name) === run[name]) &&
    (states.length === 0 || states.includes(run.state)) &&
    (!since || created >= Date.parse(since)) &&
    (!until || created < Date.parse(until))
  );
}

function newestFirst(one: RunItem, other: RunItem): number {
  return Date.parse(other.created_at) - Date.parse(one.created_at) || (one.id < other.id ? 1 : -1);
}
