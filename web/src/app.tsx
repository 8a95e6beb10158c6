// The frame around all screens: where to go, how the connection and the daemons are.
import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Asked, useData, useNow } from "./api/data";
import { useConnection } from "./api/live";
import { type Need, Session, useOwnSession } from "./api/session";
import type { SessionShown, StatusShown } from "./api/types";
import { isDark, prefer, usePreferences } from "./preferences";
import { go, useRoute } from "./route";
import { screens } from "./screens/index";
import { Login, pageAfterLogin } from "./screens/login";
import { ago, zone } from "./times";
import { AccountMenu } from "./ui/account";
import { Problem } from "./ui/parts";

export interface ScreenProps {
  /** Parts of the address after the screen's own. */
  readonly rest: readonly string[];
}

export interface Screen {
  readonly name: string;
  /** First part of the address. */
  readonly path: string;
  /** Pressed after `g`; empty for a screen that is not in the menu. */
  readonly key: string;
  readonly show: ComponentType<ScreenProps>;
  /** What a person must be allowed to do to see it. */
  readonly needs?: Need;
}

/** Where logins end that began on the page of logins. */
const LOGIN = "login";

export function App() {
  const { parts } = useRoute();
  const session = useOwnSession();
  const you = session.data;
  const known = Boolean(you?.name);
  const before = useRef(false);
  before.current ||= known;
  const path = parts[0] ?? screens[0]?.path ?? "";
  const allowed = you ? screens.filter(({ needs }) => !needs || you.may[needs]) : [];
  const screen = allowed.find((one) => one.path === path);
  const status = useData<StatusShown>(known ? "/v1/status" : null, ["problem"], 5000);
  useKeys(allowed);
  useEffect(() => {
    if (known && path === LOGIN) go(pageAfterLogin(), { replace: true });
  }, [known, path]);
  useEffect(() => {
    const name = known ? (screen?.name ?? "Not found") : "Log in";
    document.title = [...parts.slice(1).reverse(), name, "DyNamo"].join(" · ");
  }, [parts, screen, known]);
  const Shown = screen?.show;
  return (
    <Session.Provider value={you}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <a class="brand" href="/">
          DyNamo
        </a>
        <nav aria-label="Screens">
          {allowed.map(
            ({ name, path: to, key }) =>
              known &&
              key && (
                <a key={to} href={`/${to}`} aria-current={to === path ? "page" : undefined} title={`g ${key}`}>
                  {name}
                </a>
              ),
          )}
        </nav>
        <Tools you={you} />
      </header>
      {session.error ? <Problem error={session.error} /> : <Banner status={status} />}
      {/* Another person's screens begin anew. */}
      <main id="main" tabIndex={-1} key={you?.name}>
        {you && !known && <Login ended={before.current} done={session.again} />}
        {known && Shown && <Shown rest={parts.slice(1)} />}
        {known && !Shown && path !== LOGIN && <p class="empty">There is no page here.</p>}
      </main>
    </Session.Provider>
  );
}

function Tools({ you }: { you: SessionShown | undefined }) {
  const { theme, clock } = usePreferences();
  const connection = useConnection();
  const told = { connecting: "connecting", live: "live", lost: "not connected" }[connection];
  // From the system's colors to the other ones, then back.
  const turned = theme === "system" ? (isDark() ? "light" : "dark") : "system";
  return (
    <div class="tools">
      {you?.name && (
        <span class={`connection ${connection}`} role="status" title="The stream of events from the server">
          {told}
        </span>
      )}
      <button type="button" onClick={() => prefer({ clock: clock === "utc" ? "local" : "utc" })} title="u">
        {zone()}
      </button>
      <button
        type="button"
        onClick={() => prefer({ theme: turned })}
        title="t"
      >
        <span class="hidden">Colors: </span>
        {theme === "system" ? "auto" : theme}
      </button>
      {you?.name && <AccountMenu you={you} />}
    </div>
  );
}

function Banner({ status }: { status: Asked<StatusShown> }) {
  const now = useNow(5000);
  const { error, data } = status;
  if (error) return <Problem error={error} />;
  if (!data) return null;
  const down = data.daemons.filter((daemon) => !daemon.alive);
  const none = !data.daemons.some((daemon) => daemon.name.startsWith("watch"));
  if (down.length === 0 && !none) return null;
  return (
    <div class="problem" role="alert">
      {none && <p>
          <strong>dynamo watch</strong> is not running. What is shown is from the store, and nothing new comes.
        </p>}
      {down.map(({ name, seen_at }) => (
        <p key={name}>
          <strong>{name}</strong> is not running{seen_at ? `: last seen ${ago(seen_at, now)}` : ""}. What is shown is from
          the store.
        </p>
      ))}
    </div>
  );
}

/** Keys as in other tools of this kind: `g` and a letter goes to a screen, `/` to its first filter. */
function useKeys(allowed: readonly Screen[]): void {
  const reachable = useRef(allowed);
  reachable.current = allowed;
  useEffect(() => {
    let going = false;
    const pressed = (event: KeyboardEvent) => {
      const typing = (event.target as Element).closest("input, select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (going) {
        going = false;
        const to = reachable.current.find(({ key }) => key === event.key);
        if (to) {
          event.preventDefault();
          go(`/${to.path}`);
        }
        return;
      }
      if (event.key === "g") going = true;
      else if (event.key === "t") prefer({ theme: isDark() ? "light" : "dark" });
      else if (event.key === "u") prefer({ clock: zone() === "UTC" ? "local" : "utc" });
      else if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLElement>("main input[type=search]")?.focus();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
