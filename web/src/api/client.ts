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
  if (!response.ok) throw await failure(response);
  return response;
}

export async function get<T>(path: string, options: RequestInit = {}): Promise<T> {
  return (await (await ask(path, options)).json()) as T;
}

/** Send an order. The key lets the server carry it out once, however often the request is repeated. */
export async function order(path: string, body: unknown = {}, method: "POST" | "PUT" = "POST"): Promise<void> {
  await ask(path, {
    method,
    headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
    body: JSON.stringify(body),
  });
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const problem = (await response.json()) as { detail?: string; where?: string | null; hint?: string | null };
    const where = problem.where ? `${problem.where}: ` : "";
    return new ApiError(response.status, `${where}${problem.detail ?? response.statusText}`, problem.hint ?? "");
  } catch {
    return new ApiError(response.status, `${response.status} ${response.statusText}`);
  }
}
