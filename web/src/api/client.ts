// Requests to the API of the server that this page came from.
import { heard } from "./clock";

/** An answer that is not what was asked for, in the server's words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string = "",
  ) {
    super(message);
  }
}

const TOKEN_KEY = "dynamo.token";

/** The token given on this page, for servers that want one; gone when the tab is closed. */
export function token(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function setToken(value: string): void {
  if (value) sessionStorage.setItem(TOKEN_KEY, value);
  else sessionStorage.removeItem(TOKEN_KEY);
}

export function authorization(): Record<string, string> {
  return token() ? { Authorization: `Bearer ${token()}` } : {};
}

export async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers: { ...authorization(), ...options.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the server does not answer", "is `dynamo serve` running?");
  }
  heard(response.headers.get("Date"));
  if (response.status === 401) for (const listener of strangers) listener();
  if (!response.ok) throw await failure(response);
  return response;
}

const strangers = new Set<() => void>();

/** Call back when the server no longer knows who asks; returns how to stop that. */
export function onStranger(listener: () => void): () => void {
  strangers.add(listener);
  return () => void strangers.delete(listener);
}

export async function get<T>(path: string, options: RequestInit = {}): Promise<T> {
  return (await (await ask(path, options)).json()) as T;
}

export type Method = "POST" | "PUT" | "PATCH" | "DELETE";

/** Send an order. The key lets the server carry it out once, however often the request is repeated. */
export async function order<T>(path: string, body: unknown, method: Method, key: string): Promise<T> {
  const response = await ask(path, {
    method,
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify(body),
  });
  return read<T>(response);
}

/** Send a request that changes something at once, and return its answer if it has one. */
export async function send<T>(path: string, method: Method, body?: unknown): Promise<T> {
  const options: RequestInit = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const response = await ask(path, options);
  return read<T>(response);
}

async function read<T>(response: Response): Promise<T> {
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function failure(response: Response): Promise<ApiError> {
  return failureOf(response.status, response.statusText, await response.text().catch(() => ""));
}

/** An answer in the server's words, with every reason if there are several. */
export function failureOf(status: number, statusText: string, body: string): ApiError {
  try {
    const problem = JSON.parse(body) as {
      detail?: string;
      where?: string | null;
      expected?: string | null;
      hint?: string | null;
    };
    const where = problem.where ? `${problem.where}: ` : "";
    const expected = problem.expected ? `; expected ${problem.expected}` : "";
    return new ApiError(status, `${where}${problem.detail ?? statusText}${expected}`, problem.hint ?? "");
  } catch {
    return new ApiError(status, `${status} ${statusText}`);
  }
}
