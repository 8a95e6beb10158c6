// Files for one input of a run: dropped, chosen, or named among what has arrived or was made.
import { useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { type Page, useData } from "../api/data";
import type { ArrivalItem, InputShown, ProductItem } from "../api/types";
import { plainName, upload } from "../api/upload";
import { fileName, visible } from "../names";
import { bytes } from "../numbers";
import { setParameters, useRoute } from "../route";
import { clockTime } from "../times";
import { Problem } from "./parts";

const KINDS = ["upload", "arrival", "product"] as const;
type Kind = (typeof KINDS)[number];

interface Named {
  readonly kind: Kind;
  readonly id: string;
  readonly name: string;
}

interface Ref extends Named {
  /** As an order to the server says it. */
  readonly order: Readonly<Record<string, string | number>>;
}

const keyOf = (port: string) => `in.${port}`;

/** The files in the address: KIND:ID:NAME, several with `|`. */
export function refsOf(query: URLSearchParams, port: string): Ref[] {
  return (query.get(keyOf(port)) ?? "")
    .split("|")
    .map((text) => /^(upload|arrival|product):([0-9a-f]+)(?::(.*))?$/.exec(text))
    .filter((found) => found !== null)
    .map(([, kind, id, name]) => ({
      kind: kind as Kind,
      id: id ?? "",
      name: name || `${kind} ${id}`,
      order: { [kind as Kind]: kind === "upload" ? (id ?? "") : Number(id) },
    }));
}

export function FileInput(props: { port: InputShown; limit: number; sending: (change: 1 | -1) => void }) {
  const { port, limit, sending } = props;
  const { query } = useRoute();
  const refs = refsOf(query, port.name);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const [sent, setSent] = useState<{ name: string; part: number; stop: () => void }>();
  const [error, setError] = useState<ApiError>();
  const write = (kept: readonly Named[]) =>
    setParameters({ [keyOf(port.name)]: kept.map(({ kind, id, name }) => `${kind}:${id}:${name}`).join("|") });
  const add = (kind: Kind, id: string, name: string) => {
    // The address may have changed while a file was on its way.
    const before = port.many ? refsOf(new URLSearchParams(location.search), port.name) : [];
    const kept = before.filter((ref) => ref.kind !== kind || ref.id !== id);
    write([...kept, { kind, id, name: visible(name).replaceAll("|", "_") }]);
  };
  const take = async (files: readonly File[]) => {
    setError(undefined);
    for (const file of port.many ? files : files.slice(0, 1)) {
      if (file.size === 0) return setError(new ApiError(0, `${visible(file.name)} is empty, or a folder`));
      if (file.size > limit)
        return setError(new ApiError(0, `${visible(file.name)} has ${bytes(file.size)}; at most ${bytes(limit)} are taken`));
      const { id, stop } = upload(file, (part) => setSent((now) => now && { ...now, part }));
      setSent({ name: visible(file.name), part: 0, stop });
      sending(1);
      try {
        add("upload", await id, plainName(file.name));
      } catch (problem) {
        return setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
      } finally {
        setSent(undefined);
        sending(-1);
      }
    }
  };
  return (
    <fieldset>
      <legend>
        {port.name} {port.required ? "" : "(optional)"}
      </legend>
      <p class="empty">
        {port.description} Format: {port.format}. {port.many ? "Several files may be given." : ""}
      </p>
      <div
        class={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take([...(event.dataTransfer?.files ?? [])]);
        }}
      >
        <input
          ref={chooser}
          class="hidden"
          type="file"
          multiple={port.many}
          aria-label={`File for ${port.name}`}
          tabIndex={-1}
          onChange={(event) => {
            void take([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
        <button type="button" disabled={sent !== undefined} onClick={() => chooser.current?.click()}>
          Choose a file
        </button>{" "}
        or drop it here; at most {bytes(limit)}.
        {sent && (
          <p>
            <label>
              {sent.name} <progress value={sent.part} /> {Math.round(sent.part * 100)} %
            </label>{" "}
            <button type="button" onClick={sent.stop}>
              Stop
            </button>
          </p>
        )}
      </div>
      <Known add={add} />
      <Problem error={error} />
      {refs.length > 0 && (
        <ul class="plain" aria-label={`Files of ${port.name}`}>
          {refs.map((ref) => (
            <li key={`${ref.kind} ${ref.id}`}>
              {visible(ref.name)} ({ref.kind}){" "}
              <button type="button" aria-label={`Remove ${visible(ref.name)}`} onClick={() => write(refs.filter((one) => one !== ref))}>
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
    </fieldset>
  );
}

/** The newest files that the server has. */
function Known({ add }: { add: (kind: Kind, id: string, name: string) => void }) {
  const [kind, setKind] = useState<"" | "arrival" | "product">("");
  const path = { "": null, arrival: "/v1/arrivals?state=accepted&limit=50", product: "/v1/products?limit=50" }[kind];
  const { data, error } = useData<Page<ArrivalItem | ProductItem>>(path, ["arrival", "product"]);
  const name = (item: ArrivalItem | ProductItem) => fileName("name" in item ? item.name : item.path);
  return (
    <div class="bar">
      <label class="choice">
        <span>or name</span>
        <select value={kind} onChange={(event) => setKind(event.currentTarget.value as typeof kind)}>
          <option value="">nothing</option>
          <option value="arrival">a file that arrived</option>
          <option value="product">a product</option>
        </select>
      </label>
      {kind && data && (
        <label class="choice wide">
          <span>the newest</span>
          <select
            value=""
            onChange={(event) => {
              const item = data.items.find((one) => String(one.id) === event.currentTarget.value);
              if (item) add(kind, String(item.id), name(item));
              event.currentTarget.value = "";
            }}
          >
            <option value="">choose…</option>
            {data.items.map((item) => (
              <option key={item.id} value={item.id}>
                {name(item)} {item.radar} {clockTime(item.valid_at)}
              </option>
            ))}
          </select>
        </label>
      )}
      <Problem error={error} />
    </div>
  );
}
