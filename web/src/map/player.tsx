// Play, stop, step and scrub through frames.
import { useEffect, useRef } from "preact/hooks";
import { clockTime, zone } from "../times";
import type { Frame } from "./frames";

/** Frames per second. */
const SPEEDS = [
  ["2", "slow"],
  ["5", "normal"],
  ["10", "fast"],
  ["20", "very fast"],
] as const;
/** The last frame stays longer, in frames. */
const REST = 5;

export interface PlayerProps {
  readonly frames: readonly Frame[];
  readonly index: number;
  readonly playing: boolean;
  readonly speed: string;
  readonly show: (index: number) => void;
  readonly play: (playing: boolean) => void;
  readonly pace: (speed: string) => void;
  /** Whether the map has drawn what it was given: an animation waits for it. */
  readonly ready: () => boolean;
}

export function Player({ frames, index, playing, speed, show, play, pace, ready }: PlayerProps) {
  const at = useRef(index);
  at.current = index;
  const last = frames.length - 1;
  useEffect(() => {
    if (!playing || last < 1) return;
    const frameMs = 1000 / (Number(speed) || 5);
    let request = 0;
    let due = performance.now() + frameMs;
    const draw = (now: number) => {
      if (now >= due && ready()) {
        const next = at.current >= last ? 0 : at.current + 1;
        show(next);
        due = now + frameMs * (next === last ? REST : 1);
      }
      request = requestAnimationFrame(draw);
    };
    request = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(request);
  }, [playing, speed, last, show, ready]);
  const step = (by: number) => {
    play(false);
    show((at.current + by + frames.length) % frames.length);
  };
  const keys = useRef<Record<string, () => void>>({});
  keys.current = {
    " ": () => play(!playing),
    ",": () => step(-1),
    ".": () => step(1),
  };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      // Fields, buttons and the map have keys of their own.
      const target = event.target as Element;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, button, a, textarea")) return;
      const act = keys.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const frame = frames[index];
  if (!frame) return null;
  const lead = frame.leadMin === null ? "observed" : `+${frame.leadMin} min`;
  return (
    <div class="player" role="group" aria-label="Animation">
      <button type="button" onClick={() => step(-1)} aria-label="Frame before">
        ◀
      </button>
      <button type="button" class="strong" onClick={() => play(!playing)} aria-label={playing ? "Stop" : "Play"}>
        {playing ? "❚❚" : "▶"}
      </button>
      <button type="button" onClick={() => step(1)} aria-label="Next frame">
        ▶
      </button>
      <input
        type="range"
        min={0}
        max={last}
        value={index}
        aria-label="Time"
        aria-valuetext={`${clockTime(frame.validAt)} ${zone()}, ${lead}`}
        onInput={(event) => {
          play(false);
          show(Number(event.currentTarget.value));
        }}
      />
      <output>
        <time dateTime={frame.validAt}>{clockTime(frame.validAt, { seconds: false })}</time> {zone()}{" "}
        <strong class={frame.leadMin === null ? "past" : "ahead"}>{lead}</strong>
      </output>
      <select value={speed} aria-label="Speed" onChange={(event) => pace(event.currentTarget.value)}>
        {SPEEDS.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}
