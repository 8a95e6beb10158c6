// Who is logged in on this page, and what the server lets this person do.
import { createContext } from "preact";
import { useContext, useEffect } from "preact/hooks";
import { send, setToken, token } from "./client";
import { onStranger } from "./client";
import { type Asked, useData } from "./data";
import { pauseEvents } from "./live";
import type { SessionShown } from "./types";

export type Need = keyof SessionShown["may"];

/** The person's budget is renewed this often. */
const RENEW_MS = 60_000;

export const Session = createContext<SessionShown | undefined>(undefined);

/** The session of this page, asked for again as soon as the server no longer knows who asks. */
export function useOwnSession(): Asked<SessionShown> {
  const asked = useData<SessionShown>("/v1/session", [], RENEW_MS);
  const { again, data } = asked;
  useEffect(() => onStranger(again), [again]);
  const known = Boolean(data?.name);
  useEffect(() => pauseEvents(!known), [known]);
  return asked;
}

/** Who is logged in. */
export function useYou(): SessionShown | undefined {
  return useContext(Session);
}

/** Whether the person may do something: what somebody may not do is not shown. */
export function useMay(need: Need): boolean {
  return useContext(Session)?.may[need] ?? false;
}

/** Whether there is something to log out of: the user of the server's machine is always let in. */
export function mayLogOut(you: SessionShown): boolean {
  return you.how.startsWith("session") || token() !== "";
}

export async function logOut(): Promise<void> {
  try {
    if (token() === "") await send("/v1/session", "DELETE");
  } finally {
    setToken("");
    // Nothing of what this person saw stays in the page.
    location.assign("/");
  }
}
