// What is shown stands in the address, whole: an address that is sent to a colleague shows the same.
import { useEffect, useState } from "preact/hooks";

export interface Route {
  /** Parts of the path: ["runs", "nowcast-1"]. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

const listeners = new Set<() => void>();

function read(): Route {
  const parts = location.pathname.split("/").filter(Boolean).map(decoded);
  return { parts, query: new URLSearchParams(location.search) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Show another address. `replace` keeps it out of the history: for what changes all the time. */
export function go(address: string, { replace = false } = {}): void {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  for (const listener of listeners) listener();
}

export function useRoute(): Route {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const update = () => setRoute(read());
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return route;
}

/** One parameter of the address, and how to set it; an empty value is left out. */
export function useParameter(name: string): [string, (value: string) => void] {
  const { query } = useRoute();
  return [query.get(name) ?? "", (value) => setParameters({ [name]: value })];
}

export function setParameters(values: Readonly<Record<string, string>>): void {
  go(address(location.pathname, merged(new URLSearchParams(location.search), values)), { replace: true });
}

function merged(query: URLSearchParams, values: Readonly<Record<string, string>>): URLSearchParams {
  for (const [name, value] of Object.entries(values)) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  return query;
}

/** An address from a path and parameters; empty ones are left out. */
export function address(path: string, query: URLSearchParams | Readonly<Record<string, string>> = {}): string {
  const text = (query instanceof URLSearchParams ? query : merged(new URLSearchParams(), query)).toString();
  return text === "" ? path : `${path}?${text}`;
}

export function pathOf(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

/** A page of this server, whatever an address says where to go next: browsers take two slashes for another host. */
export function localPath(text: string | null): string {
  const safe = text && /^\/(?![/\\])[^\\\u0000-\u0020]*$/.test(text) && !/^\/(v1|login)\b/.test(text);
  return safe ? text : "/";
}

/** Follow links to our own pages without loading the page anew. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (/^\/(v1|docs|licenses\.txt|openapi\.json)/.test(link.pathname) || link.hash) return;
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  });
}
