// The frame around all screens: where to go, how the connection and the daemons are.
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { setToken } from "./api/client";
import { type Asked, useData, useNow } from "./api/data";
import { useConnection } from "./api/live";
import type { StatusShown } from "./api/types";
import { isDark, prefer, usePreferences } from "./preferences";
import { go, useRoute } from "./route";
import { screens } from "./screens/index";
import { ago, zone } from "./times";
import { Problem } from "./ui/parts";

export interface ScreenProps {
  /** Parts of the address after the screen's own. */
  readonly rest: readonly string[];
}

export interface Screen {
  readonly name: string;
  /** First part of the address. */
  readonly path: string;
  /** Pressed after `g`. */
  readonly key: string;
  readonly show: ComponentType<ScreenProps>;
}

export function App() {
  const { parts } = useRoute();
  const path = parts[0] ?? screens[0]?.path ?? "";
  const screen = screens.find((known) => known.path === path);
  const status = useData<StatusShown>("/v1/status", ["problem", "run"], 10_000);
  useKeys();
  useEffect(() => {
    document.title = [...parts.slice(1).reverse(), screen?.name ?? "Not found", "DyNamo"].join(" · ");
  }, [parts, screen]);
  const Shown = screen?.show;
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <a class="brand" href="/">
          DyNamo
        </a>
        <nav aria-label="Screens">
          {screens.map(({ name, path: to, key }) => (
            <a key={to} href={`/${to}`} aria-current={to === path ? "page" : undefined} title={`g ${key}`}>
              {name}
            </a>
          ))}
        </nav>
        <Tools status={status.data} />
      </header>
      <Banner status={status} />
      <main id="main" tabIndex={-1}>
        {Shown ? <Shown rest={parts.slice(1)} /> : <p class="empty">There is no page here.</p>}
      </main>
    </>
  );
}

function Tools({ status }: { status: StatusShown | undefined }) {
  const { theme, clock } = usePreferences();
  const connection = useConnection();
  const told = { connecting: "connecting", live: "live", lost: "not connected" }[connection];
  // From the system's colors to the other ones, then back.
  const turned = theme === "system" ? (isDark() ? "light" : "dark") : "system";
  return (
    <div class="tools">
      <span class={`connection ${connection}`} role="status" title="The stream of events from the server">
        {told}
      </span>
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
      {status && <span class="you">{status.you.name}</span>}
    </div>
  );
}

function Banner({ status }: { status: Asked<StatusShown> }) {
  const now = useNow(5000);
  const { error, data } = status;
  if (error?.status === 401) return <Login />;
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

function Login() {
  return (
    <form
      class="login"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(String(new FormData(event.currentTarget).get("token")).trim());
        location.reload();
      }}
    >
      <label>
        Token <input name="token" type="password" autocomplete="current-password" required />
      </label>
      <button type="submit">Log in</button>
      <small>
        <code>dynamo-provision token create NAME --scope read</code> makes one.
      </small>
    </form>
  );
}

/** Keys as in other tools of this kind: `g` and a letter goes to a screen, `/` to its first filter. */
function useKeys(): void {
  useEffect(() => {
    let going = false;
    const pressed = (event: KeyboardEvent) => {
      const typing = (event.target as Element).closest("input, select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (going) {
        going = false;
        const to = screens.find(({ key }) => key === event.key);
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
