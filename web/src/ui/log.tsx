// A log as it grows: only what is new is asked for.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, ask } from "../api/client";
import { visible } from "../names";
import { Problem } from "./parts";

const EVERY_MS = 1000;
/** Lines of a log gone wild are kept to its end. */
const MOST_CHARACTERS = 500_000;

/** Colors and other orders to a terminal say nothing here. */
const TERMINAL = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;
export function readable(text: string): string {
  return visible(text.replace(TERMINAL, "").replace(/\r\n?/g, "\n"));
}

export function Log({ path, follow, label }: { path: string; follow: boolean; label: string }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<ApiError>();
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const following = useRef(follow);
  following.current = follow;
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    // From the end: of a log gone wild no more is kept.
    let offset = -MOST_CHARACTERS;
    setText("");
    const read = async () => {
      let more = false;
      // Asked before the look: what was written until the end of the run is read.
      const last = !following.current;
      try {
        const response = await ask(`${path}?offset=${offset}`, { signal: stop.signal });
        const part = await response.text();
        const next = Number(response.headers.get("X-Next-Offset") ?? offset + part.length);
        more = next > offset;
        offset = next;
        setError(undefined);
        if (part) setText((before) => (before + part).slice(-MOST_CHARACTERS));
      } catch (problem) {
        if (stop.signal.aborted) return;
        setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
      }
      if (more) timer = setTimeout(() => void read(), 0);
      else if (!last) timer = setTimeout(() => void read(), EVERY_MS);
    };
    void read();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, follow]);
  useEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current ?? { scrollTop: 0, scrollHeight: 0, clientHeight: 0 };
    atEnd.current = scrollTop + clientHeight >= scrollHeight - 4;
  };
  return (
    <>
      <Problem error={error} />
      <pre class="log" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={label} aria-live="off">
        {readable(text) || (follow ? "Nothing yet." : "Empty.")}
      </pre>
    </>
  );
}
