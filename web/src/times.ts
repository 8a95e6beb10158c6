// Times as people read them: today's as HH:MM:SS, others with their date, by UTC or the local clock.
import { serverNow } from "./api/clock";
import { preferences } from "./preferences";

const DAY_MS = 86_400_000;

interface Parts {
  date: string;
  time: string;
}

function parts(at: Date): Parts {
  const shifted = preferences().clock === "utc" ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  const text = shifted.toISOString();
  return { date: text.slice(0, 10), time: text.slice(11, 19) };
}

/** A time of today as HH:MM:SS, another with its date; an empty text for none. */
export function clockTime(value: string | null | undefined, { seconds = true } = {}): string {
  if (!value) return "";
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return value;
  const { date, time } = parts(at);
  const shown = seconds ? time : time.slice(0, 5);
  return date === parts(new Date(serverNow())).date ? shown : `${date} ${shown}`;
}

/** A time in full, as for a tooltip: both clocks. */
export function fullTime(value: string | null | undefined): string {
  if (!value) return "";
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return value;
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC · ${at.toLocaleString()} local`;
}

export function zone(): string {
  return preferences().clock === "utc" ? "UTC" : "local";
}

/** A span as people say it: 8.2 s, 3 min 20 s, 5 h 10 min, 3 d 4 h. */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  const s = Math.abs(seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return two(Math.round(s), 60, "min", "s");
  if (s < 86_400) return two(Math.round(s / 60), 60, "h", "min");
  return two(Math.round(s / 3600), 24, "d", "h");
}

function two(value: number, base: number, big: string, small: string): string {
  const rest = value % base;
  return rest ? `${Math.floor(value / base)} ${big} ${rest} ${small}` : `${value / base} ${big}`;
}

/** How long ago, or how long until: "8 s ago", "in 3 min". */
export function ago(value: string | null | undefined, now: number): string {
  if (!value) return "never";
  const seconds = (now - Date.parse(value)) / 1000;
  return seconds >= 0 ? `${span(seconds)} ago` : `in ${span(seconds)}`;
}

/** The start of a window named in the address: 1h, 6h, 1d, 7d; null for all. */
export function since(window: string, now: number): string | null {
  const found = /^(\d+)([mhd])$/.exec(window);
  if (!found) return null;
  const unit = { m: 60_000, h: 3_600_000, d: DAY_MS }[found[2] as "m" | "h" | "d"];
  // To the minute: an address that stays the same can be answered "not modified".
  return new Date(Math.floor((now - Number(found[1]) * unit) / 60_000) * 60_000).toISOString().replace(".000", "");
}
