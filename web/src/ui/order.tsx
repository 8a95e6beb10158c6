// A button that gives an order to the server. It asks once more before it does.
import { useState } from "preact/hooks";
import { ApiError, order } from "../api/client";
import { type Need, useMay } from "../api/session";
import { Problem } from "./parts";

export interface OrderProps {
  readonly text: string;
  readonly path: string;
  readonly body?: unknown;
  readonly method?: "POST" | "PUT" | "PATCH" | "DELETE";
  /** What a person must be allowed to do: nobody else sees the button. */
  readonly needs?: Need;
  readonly done: () => void;
}

export function Order({ text, path, body, method = "POST", needs = "order", done }: OrderProps) {
  const may = useMay(needs);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const act = () => {
    setAsked(!asked);
    if (!asked) return;
    setBusy(true);
    order(path, body, method)
      .then(() => setError(undefined))
      .catch((problem: unknown) => setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem))))
      .finally(() => {
        setBusy(false);
        done();
      });
  };
  if (!may) return null;
  return (
    <>
      <button type="button" disabled={busy} class={asked ? "strong" : ""} onClick={act} onBlur={() => setAsked(false)}>
        {asked ? `Really ${text.toLowerCase()}?` : text}
      </button>
      <Problem error={error} />
    </>
  );
}
