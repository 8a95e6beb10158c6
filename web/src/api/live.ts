// One stream of events for the whole page. `fetch` reads it, since `EventSource` cannot send a token.
import { useEffect, useState } from "preact/hooks";
import { authorization } from "./client";
import type { RunItem } from "./types";

export type Kind = "run" | "product" | "arrival" | "problem" | "alert" | "fleet" | "worker" | "decision";

export interface LiveEvent {
  readonly id: string;
  readonly at: string;
  readonly kind: Kind;
  readonly subject: string;
  readonly data: unknown;
  /** The run that the event is about, as lists show it. */
  readonly item?: RunItem;
}

export type Connection = "connecting" | "live" | "lost";

const RETRY_MS = [500, 1000, 2000, 5000, 10_000];
/** The server says something at least this often; after more the connection is dead. */
const SILENCE_MS = 45_000;
/** Screens are drawn anew at most this often, however much happens. */
const CALM_MS = 500;
/** An answer of the server may be older than an event by less than this. */
const RECENT_MS = 1000;

const ears = new Set<(event: LiveEvent | null) => void>();
const watchers = new Set<(connection: Connection) => void>();
let connection: Connection = "connecting";
let lastId = "";
let running = false;
let paused = true;
let heard: { readonly at: number; readonly event: LiveEvent }[] = [];
let wake = () => {};
let reading: AbortController | undefined;

/** Listen for as long as the page is open. */
export async function listen(): Promise<void> {
  if (running) return;
  running = true;
  for (let failures = 0; ; failures += 1) {
    while (paused) await new Promise<void>((resolve) => (wake = resolve));
    try {
      await read(() => {
        // The screens asked before the first connection: they may have missed what came between.
        if (lastId === "") setTimeout(() => hear(null), CALM_MS);
        failures = 0;
        become("live");
      });
    } catch {
      // Told by the state of the connection.
    }
    become(failures === 0 ? "connecting" : "lost");
    const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 1000;
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
  }
}

/** Listen only while somebody is logged in; what came before is not for the next person. */
export function pauseEvents(pause: boolean): void {
  if (pause === paused) return;
  paused = pause;
  lastId = "";
  if (pause) reading?.abort();
  else wake();
}

async function read(opened: () => void): Promise<void> {
  const stop = new AbortController();
  reading = stop;
  let watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
  try {
    const headers: Record<string, string> = { Accept: "text/event-stream", ...authorization() };
    if (lastId) headers["Last-Event-ID"] = lastId;
    const response = await fetch("/v1/stream", { headers, signal: stop.signal, cache: "no-store" });
    if (!response.ok || !response.body) throw new Error(response.statusText);
    opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) take(block);
    }
  } finally {
    clearTimeout(watchdog);
    stop.abort();
  }
}

function take(block: string): void {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const name = line.slice(0, at);
    const value = line.slice(at + 1).replace(/^ /, "");
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  const id = fields.get("id");
  if (id !== undefined) lastId = id;
  if (fields.get("event") === "reset") {
    hear(null);
    return;
  }
  const data = fields.get("data");
  if (data === undefined) return;
  try {
    hear(JSON.parse(data) as LiveEvent);
  } catch {
    // Not ours.
  }
}

function hear(event: LiveEvent | null): void {
  if (event !== null) heard = [...heard.filter(({ at }) => Date.now() - at < RECENT_MS), { at: Date.now(), event }];
  for (const ear of ears) ear(event);
}

/** Events that an answer may lack that was asked for just now. */
export function recentEvents(): LiveEvent[] {
  return heard.filter(({ at }) => Date.now() - at < RECENT_MS).map(({ event }) => event);
}

function become(state: Connection): void {
  if (state === connection) return;
  connection = state;
  for (const watcher of watchers) watcher(state);
}

export function useConnection(): Connection {
  const [state, setState] = useState(connection);
  useEffect(() => {
    setState(connection);
    watchers.add(setState);
    return () => void watchers.delete(setState);
  }, []);
  return state;
}

/** Call back with each event, and with null when events may have been missed. */
export function useEachEvent(then: ((event: LiveEvent | null) => void) | null): void {
  useEffect(() => {
    if (then === null) return;
    ears.add(then);
    return () => void ears.delete(then);
  }, [then]);
}

/** Call back soon after an event of these kinds, and when events may have been missed; not more than twice a second. */
export function useEvents(kinds: readonly Kind[], then: () => void): void {
  const wanted = kinds.join();
  useEffect(() => {
    if (wanted === "") return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ear = (event: LiveEvent | null) => {
      if (event !== null && !wanted.split(",").includes(event.kind)) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        then();
      }, CALM_MS);
    };
    ears.add(ear);
    for (const event of recentEvents()) ear(event);
    return () => {
      ears.delete(ear);
      clearTimeout(timer);
    };
  }, [wanted, then]);
}
