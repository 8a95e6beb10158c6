// Buttons that give an order to the server, once: the order keeps its key until the server has answered.
import { useRef, useState } from "preact/hooks";
import { ApiError, type Method, order } from "../api/client";
import { type Need, useMay } from "../api/session";
import { Problem } from "./parts";

export interface Ordering {
  readonly busy: boolean;
  readonly error: ApiError | undefined;
  /** Send the order; nothing while another is on its way. The answer, or undefined if there is none. */
  readonly send: <T = unknown>(path: string, body?: unknown, method?: Method) => Promise<T | undefined>;
}

export function useOrder(): Ordering {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const way = useRef({ busy: false, key: "", about: "" });
  const send = async <T,>(path: string, body: unknown = {}, method: Method = "POST"): Promise<T | undefined> => {
    if (way.current.busy) return undefined;
    const about = JSON.stringify([path, body, method]);
    // Without an answer nobody knows whether it was carried out: asked again, it is the same order.
    const key = way.current.about === about && way.current.key ? way.current.key : crypto.randomUUID();
    way.current = { busy: true, key, about };
    setBusy(true);
    try {
      const answer = await order<T>(path, body, method, key);
      way.current.key = "";
      setError(undefined);
      return answer;
    } catch (problem) {
      const told = problem instanceof ApiError ? problem : new ApiError(0, String(problem));
      if (told.status !== 0 && told.status < 500) way.current.key = "";
      setError(told);
      return undefined;
    } finally {
      way.current.busy = false;
      setBusy(false);
    }
  };
  return { busy, error, send };
}

export interface OrderProps {
  readonly text: string;
  readonly path: string;
  readonly body?: unknown;
  readonly method?: Method;
  readonly disabled?: boolean;
  /** What a person must be allowed to do: nobody else sees the button. */
  readonly needs?: Need;
  /** Called when the server has answered, with undefined if it refused. */
  readonly done: (answer: unknown) => void;
}

/** A button that asks once more before it gives its order. */
export function Order({ text, path, body, method = "POST", disabled = false, needs = "order", done }: OrderProps) {
  const may = useMay(needs);
  const [asked, setAsked] = useState(false);
  const { busy, error, send } = useOrder();
  const act = (event: MouseEvent) => {
    // The second click of a double click answers no question that was read.
    if (asked && event.detail > 1) return;
    setAsked(!asked);
    if (asked) void send(path, body, method).then(done);
  };
  if (!may) return null;
  return (
    <>
      <button
        type="button"
        disabled={busy || disabled}
        class={asked ? "strong" : ""}
        onClick={act}
        onBlur={() => setAsked(false)}
      >
        {asked ? `Really ${text.toLowerCase()}?` : text}
      </button>
      <Problem error={error} />
    </>
  );
}
