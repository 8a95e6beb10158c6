// Send what a form says, once at a time, and tell what came of it.
import { useState } from "preact/hooks";
import { ApiError, send } from "../api/client";

type Method = "POST" | "PUT" | "PATCH" | "DELETE";

export interface Sending {
  readonly busy: boolean;
  readonly error: ApiError | undefined;
  readonly send: (path: string, method: Method, body?: unknown) => void;
}

export function useSend<T>(done: (answer: T) => void): Sending {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  return {
    busy,
    error,
    send: (path, method, body) => {
      setBusy(true);
      send<T>(path, method, body)
        .then((answer) => {
          setError(undefined);
          done(answer);
        })
        .catch((problem: unknown) => setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem))))
        .finally(() => setBusy(false));
    },
  };
}

/** What was typed into a field of a form, as it is. */
export function typed(form: HTMLFormElement, name: string): string {
  return String(new FormData(form).get(name) ?? "");
}
