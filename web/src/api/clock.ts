// The server's clock: all times come from it, and that of this computer may be wrong by hours.

/** Less than this is the way of an answer, and the second that its header is rounded to. */
const ALIKE_MS = 5000;

/** How much the server's clock is ahead of this computer's. */
let aheadMs = 0;
const watchers = new Set<() => void>();

/** Take note of an answer's `Date`. */
export function heard(date: string | null): void {
  const found = Date.parse(date ?? "") - Date.now();
  if (Number.isNaN(found) || Math.abs(found - aheadMs) < ALIKE_MS) return;
  aheadMs = found;
  for (const watcher of watchers) watcher();
}

/** Call back whenever it turns out that the clocks differ otherwise than was known; return what ends that. */
export function onCorrection(then: () => void): () => void {
  watchers.add(then);
  return () => void watchers.delete(then);
}

/** Milliseconds since 1970, by the server's clock. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}
