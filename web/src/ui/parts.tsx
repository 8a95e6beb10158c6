// Parts that several screens share.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { visible } from "../names";
import { usePreferences } from "../preferences";
import { clockTime, fullTime } from "../times";

/** A sign beside each color, since not everybody tells colors apart. */
const SIGNS: Readonly<Record<string, readonly [string, string]>> = {
  succeeded: ["✓", "good"],
  complete: ["✓", "good"],
  ok: ["✓", "good"],
  fresh: ["✓", "good"],
  ready: ["✓", "good"],
  busy: ["▶", "busy"],
  running: ["▶", "busy"],
  publishing: ["▶", "busy"],
  submitted: ["▷", "busy"],
  planned: ["▷", "busy"],
  created: ["○", "idle"],
  waiting: ["○", "idle"],
  idle: ["○", "idle"],
  quiet: ["○", "idle"],
  skipped: ["–", "idle"],
  cancelled: ["–", "idle"],
  active: ["▶", "busy"],
  done: ["✓", "good"],
  paused: ["‖", "warn"],
  down: ["✕", "bad"],
  held: ["‖", "warn"],
  late: ["!", "warn"],
  partial: ["!", "warn"],
  draining: ["‖", "warn"],
  warn: ["!", "warn"],
  warning: ["!", "warn"],
  block: ["✕", "bad"],
  reject: ["✕", "bad"],
  review: ["?", "warn"],
  failed: ["✕", "bad"],
  missing: ["✕", "bad"],
  accepted: ["✓", "good"],
  released: ["✓", "good"],
  duplicate: ["–", "idle"],
  dropped: ["–", "idle"],
  quarantined: ["✕", "bad"],
  silent: ["✕", "bad"],
  error: ["✕", "bad"],
  open: ["!", "bad"],
  closed: ["✓", "good"],
};

export function toneOf(state: string): string {
  return SIGNS[state]?.[1] ?? "idle";
}

export function State({ value }: { value: string }) {
  const [sign, tone] = SIGNS[value] ?? ["·", "idle"];
  return (
    <span class={`state ${tone}`}>
      <span aria-hidden="true">{sign}</span> {value}
    </span>
  );
}

export function Time({ at }: { at: string | null | undefined }) {
  usePreferences();
  if (!at) return null;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {clockTime(at)}
    </time>
  );
}

/** A text whose parts in backticks are to be typed. */
export function Words({ text }: { text: string }) {
  const parts = visible(text).split("`");
  // A lone backtick is one.
  if (parts.length % 2 === 0) return <>{parts.join("`")}</>;
  return <>{parts.map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part))}</>;
}

export function Problem({ error }: { error: ApiError | undefined }) {
  if (!error) return null;
  return (
    <p class="problem" role="alert">
      <Words text={error.message} />
      {error.hint && (
        <>
          {" "}
          (<Words text={error.hint} />)
        </>
      )}
    </p>
  );
}

export function Card(props: { title: string; children: ComponentChildren; more?: string; wide?: boolean }) {
  const { title, children, more, wide } = props;
  return (
    <section class={wide ? "card wide" : "card"}>
      <h2>{more === undefined ? title : <a href={more}>{title}</a>}</h2>
      {children}
    </section>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Loading({ what }: { what: string }) {
  return (
    <p class="empty" role="status">
      Loading {what}…
    </p>
  );
}

/** Facts about one thing; those without a value are left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  const told = facts.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return (
    <dl class="facts">
      {told.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface Column<T> {
  readonly name: string;
  readonly show: (item: T) => ComponentChildren;
  readonly kind?: "number" | "text" | "id";
}

/** A table whose rows open with a click, or with the link in a cell. On a phone each row is a block. */
export function Table<T>(props: {
  label: string;
  columns: readonly Column<T>[];
  items: readonly T[];
  keyOf: (item: T) => string | number;
  open?: (item: T) => void;
}) {
  const { label, columns, items, keyOf, open } = props;
  const click = (event: MouseEvent, item: T) => {
    if (!(event.target as Element | null)?.closest("a, button") && !getSelection()?.toString()) open?.(item);
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map(({ name, kind }) => (
              <th key={name} scope="col" class={kind ?? ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)} class={open ? "opens" : ""} onClick={(event) => click(event, item)}>
              {columns.map(({ name, show, kind }) => (
                <td key={name} class={kind ?? ""} data-name={name}>
                  {show(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One choice of a few, kept in the address by the caller. */
export function Choice(props: {
  label: string;
  value: string;
  options: readonly (readonly [string, string])[];
  choose: (value: string) => void;
}) {
  return (
    <label class="choice">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.choose(event.currentTarget.value)}>
        {props.options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A text to filter by; the address changes when the person stops typing. */
interface InputProps {
  readonly type: "text" | "search" | "number" | "datetime-local";
  readonly value: string;
  readonly choose: (text: string) => void;
  readonly list?: string | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly step?: number | "any";
  readonly required?: boolean;
}

/** A field whose text is chosen when it is left, or with Enter: until then it keeps what is typed, whatever is drawn anew. */
export function Input({ value, choose, ...rest }: InputProps) {
  const [typed, setTyped] = useState<string>();
  return (
    <input
      autocomplete="off"
      spellcheck={false}
      {...rest}
      value={typed ?? value}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onChange={(event) => {
        setTyped(undefined);
        choose(event.currentTarget.value.trim());
      }}
    />
  );
}

export function Filter(props: { label: string; value: string; choose: (value: string) => void; list?: string }) {
  return (
    <label class="choice">
      <span>{props.label}</span>
      <Input type="search" value={props.value} list={props.list} choose={props.choose} />
    </label>
  );
}
