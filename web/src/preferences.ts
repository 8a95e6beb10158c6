// What a person likes, on this device: colors, and whose clock.
import { useEffect, useState } from "preact/hooks";

export type Theme = "system" | "dark" | "light";
export type Clock = "utc" | "local";

interface Preferences {
  theme: Theme;
  clock: Clock;
}

const KEY = "dynamo.preferences";
const listeners = new Set<() => void>();
let current: Preferences = { theme: "system", clock: "utc", ...stored() };

function stored(): Partial<Preferences> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>;
  } catch {
    return {};
  }
}

export function preferences(): Readonly<Preferences> {
  return current;
}

export function prefer(changes: Partial<Preferences>): void {
  current = { ...current, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser that keeps nothing still shows what was chosen.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

export function usePreferences(): Readonly<Preferences> {
  const [, setVersion] = useState(0);
  useEffect(() => {
    const update = () => setVersion((version) => version + 1);
    listeners.add(update);
    systemDark.addEventListener("change", update);
    return () => {
      listeners.delete(update);
      systemDark.removeEventListener("change", update);
    };
  }, []);
  return current;
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");

export function isDark(): boolean {
  return current.theme === "system" ? systemDark.matches : current.theme === "dark";
}

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = isDark() ? "dark" : "light";
}

systemDark.addEventListener("change", applyTheme);
