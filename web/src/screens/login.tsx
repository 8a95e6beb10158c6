// Log in: with a password, at a provider, or with a token. Then the screen that was asked for is shown.
import { useEffect, useRef } from "preact/hooks";
import { setToken, token } from "../api/client";
import { useData } from "../api/data";
import type { LoginWays, SessionShown } from "../api/types";
import { address, localPath, useRoute } from "../route";
import { Problem } from "../ui/parts";
import { typed, useSend } from "../ui/send";

/** Why the way back from the provider led here. */
const WHY: Readonly<Record<string, string>> = {
  provider: "The provider does not answer. Try again in a few seconds, or log in with a password.",
  denied: "The provider let nobody in.",
  expired: "That login took too long, or began in another browser. Log in again.",
  untrusted: "What the provider said cannot be trusted. Tell whoever runs this server: its log has the reason.",
  role: "The provider knows you, but you have no role here. Ask whoever runs this server.",
  disabled: "Your account here is disabled. Ask whoever runs this server.",
};

/** Where the address says to go after the login: the page that was asked for, also if it is not that of logins. */
export function pageAfterLogin(): string {
  const { pathname, search } = location;
  return pathname === "/login" ? localPath(new URLSearchParams(search).get("next")) : pathname + search;
}

export function Login({ ended, done }: { ended: boolean; done: () => void }) {
  const { query } = useRoute();
  const ways = useData<LoginWays>("/v1/login");
  const { busy, error, send } = useSend<SessionShown>(done);
  const first = useRef<HTMLInputElement>(null);
  const why = WHY[query.get("why") ?? ""];
  const wrong = token() !== "";
  const shown = ways.data;
  useEffect(() => first.current?.focus(), [shown]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setToken("");
    send("/v1/session", "POST", { name: typed(form, "name").trim(), password: typed(form, "password") });
  };
  const withToken = (event: SubmitEvent) => {
    event.preventDefault();
    setToken(typed(event.currentTarget as HTMLFormElement, "token").trim());
    done();
  };
  return (
    <div class="login">
      <h1>Log in to DyNamo</h1>
      {ended && !why && <p role="status">Your session has ended. Log in again: the page you were on comes back.</p>}
      {why && (
        <p class="problem" role="alert">
          {why}
        </p>
      )}
      {wrong && (
        <p class="problem" role="alert">
          The token is not valid, or has expired.
        </p>
      )}
      <Problem error={ways.error} />
      {shown?.oidc && (
        <a class="button strong" href={address(shown.oidc.path, { next: pageAfterLogin() })}>
          Log in with {shown.oidc.name}
        </a>
      )}
      {shown?.oidc && shown.passwords && <p class="or">or</p>}
      {shown?.passwords && (
        <form onSubmit={submit}>
          <label>
            Name
            <input ref={first} name="name" autocomplete="username" autocapitalize="none" spellcheck={false} maxLength={100} required />
          </label>
          <label>
            Password
            <input name="password" type="password" autocomplete="current-password" required />
          </label>
          {error?.status === 401 ? (
            <p class="problem" role="alert">
              Wrong name or password.
            </p>
          ) : (
            <Problem error={error} />
          )}
          <button type="submit" class={shown.oidc ? "" : "strong"} disabled={busy}>
            {busy ? "Logging in…" : "Log in"}
          </button>
        </form>
      )}
      {shown && (
        <details open={!shown.passwords && !shown.oidc}>
          <summary>Log in with a token</summary>
          <form onSubmit={withToken}>
            <label>
              Token
              <input name="token" type="password" autocomplete="off" placeholder="dyn_…" required />
            </label>
            <button type="submit">Log in</button>
          </form>
        </details>
      )}
    </div>
  );
}
