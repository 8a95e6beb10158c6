// Data of a screen: asked for when it is shown, and again when an event says that they changed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./client";
import { onCorrection, serverNow } from "./clock";
import { type Kind, type LiveEvent, recentEvents, useConnection, useEachEvent, useEvents } from "./live";

export interface Asked<T> {
  /** The last answer; kept while a newer one is on its way, or fails. */
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  readonly again: () => void;
}

/** Without the stream of events, ask this often. */
const POLL_MS = 5000;

/** What an answer becomes by an event, without asking again; undefined if that must be asked. */
export type Patch<T> = (data: T, event: LiveEvent) => T | undefined;

interface Answer<T> {
  readonly path: string | null;
  readonly data?: T;
  readonly error?: ApiError;
}

/** The answer to a path, or nothing for null. A patch must be the same function as long as the path is the same. */
export function useData<T>(
  path: string | null,
  kinds: readonly Kind[] = [],
  everyMs = 0,
  patch: Patch<T> | null = null,
): Asked<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ path });
  const [turn, setTurn] = useState(0);
  const asking = useRef({ busy: false, missed: false, events: [] as LiveEvent[], answer });
  const keep = useCallback((next: Answer<T>) => {
    asking.current.answer = next;
    setAnswer(next);
  }, []);
  const again = useCallback(() => {
    // A slow server is not asked again before it has answered.
    if (asking.current.busy) asking.current.missed = true;
    else setTurn((count) => count + 1);
  }, []);
  useEvents(path === null ? [] : kinds, again);
  const follow = useCallback(
    (event: LiveEvent | null) => {
      const { busy, events, answer: known } = asking.current;
      if (event === null) return again();
      // The answer on its way may be older than the event.
      if (busy) events.push(event);
      if (patch === null || known.data === undefined || known.path !== path) return;
      const data = patch(known.data, event);
      if (data === undefined) again();
      else if (data !== known.data) keep({ path, data });
    },
    [path, patch, again, keep],
  );
  useEachEvent(patch === null || path === null ? null : follow);
  const connection = useConnection();
  const follows = kinds.length > 0 || patch !== null;
  const pause = connection === "live" || !follows ? everyMs : POLL_MS;
  useEffect(() => {
    if (path === null || !pause) return;
    const timer = setInterval(() => {
      if (!document.hidden) again();
    }, pause);
    return () => clearInterval(timer);
  }, [path, pause, again]);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    Object.assign(asking.current, { busy: true, missed: false, events: recentEvents() });
    get<T>(path, { signal: stop.signal })
      .then((data) => {
        let patched: T | undefined = data;
        for (const event of asking.current.events) if (patch && patched !== undefined) patched = patch(patched, event);
        if (patched === undefined) asking.current.missed = true;
        keep({ path, data: patched ?? data });
      })
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        const told = error instanceof ApiError ? error : new ApiError(0, String(error));
        const before = asking.current.answer;
        keep(before.path === path ? { ...before, error: told } : { path, error: told });
      })
      .finally(() => {
        if (stop.signal.aborted) return;
        asking.current.busy = false;
        if (asking.current.missed) again();
      });
    return () => {
      stop.abort();
      asking.current.busy = false;
    };
  }, [path, patch, turn, again, keep]);
  const fresh = answer.path === path;
  return { data: fresh ? answer.data : undefined, error: fresh ? answer.error : undefined, again };
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** A list of pages: the first follows events, more come on request. */
export function useList<T extends { id: string | number }>(
  path: string,
  kinds: readonly Kind[],
  everyMs = 0,
  patch: Patch<Page<T>> | null = null,
): Asked<readonly T[]> & { more: (() => void) | null } {
  const first = useData<Page<T>>(path, kinds, everyMs, patch);
  const [later, setLater] = useState<Page<T> & { path: string }>();
  const [failure, setFailure] = useState<ApiError>();
  const known = later?.path === path ? later : undefined;
  const next = known ? known.next : (first.data?.next ?? null);
  const items = first.data && merged(first.data.items, known?.items ?? []);
  const more = () => {
    const join = path.includes("?") ? "&" : "?";
    get<Page<T>>(`${path}${join}after=${encodeURIComponent(next ?? "")}`)
      // What new entries push off the first page stays.
      .then((page) => setLater({ path, items: [...(items ?? []), ...page.items], next: page.next }))
      .catch((error: unknown) => setFailure(error instanceof ApiError ? error : new ApiError(0, String(error))));
  };
  return { data: items, error: first.error ?? failure, again: first.again, more: next === null ? null : more };
}

function merged<T extends { id: string | number }>(newest: readonly T[], older: readonly T[]): readonly T[] {
  const seen = new Set(newest.map((item) => item.id));
  return [...newest, ...older.filter((item) => !seen.has(item.id))];
}

/** The time now by the server's clock, renewed every few seconds. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const renew = () => setNow(serverNow());
    const timer = setInterval(renew, everyMs);
    const correcting = onCorrection(renew);
    return () => {
      clearInterval(timer);
      correcting();
    };
  }, [everyMs]);
  return now;
}
