// A person's tokens for programs: made, shown once, and revoked.
import { useState } from "preact/hooks";
import { useData } from "../api/data";
import type { Role, TokenShown, Tokens } from "../api/types";
import { pathOf } from "../route";
import { Order } from "./order";
import { type Column, Empty, Loading, Problem, Table, Time } from "./parts";
import { typed, useSend } from "./send";

/** What a token may be for, and the least role of its owner. */
const SCOPES: readonly (readonly [string, string, Role])[] = [
  ["read", "look", "viewer"],
  ["submit", "run workflows within the budget", "researcher"],
  ["write", "give all orders", "operator"],
  ["admin", "manage users and tokens", "admin"],
];
const ROLES: readonly Role[] = ["viewer", "researcher", "operator", "admin"];

export function TokenList({ user, role }: { user: string; role: Role }) {
  const { data, error, again } = useData<Tokens>("/v1/tokens");
  const [made, setMade] = useState<{ name: string; token: string }>();
  const making = useSend<{ name: string; token: string }>((answer) => {
    setMade(answer);
    again();
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const days = Number(typed(form, "days"));
    making.send("/v1/tokens", "POST", {
      name: typed(form, "name").trim(),
      scopes: [typed(form, "scope")],
      user,
      ...(days > 0 ? { days } : {}),
    });
  };
  const columns: readonly Column<TokenShown>[] = [
    { name: "Name", kind: "id", show: (token) => token.name },
    { name: "For", show: (token) => token.scopes.map((scope) => SCOPES.find(([known]) => known === scope)?.[1] ?? scope).join(", ") },
    { name: "Until", show: (token) => (token.expires_at ? <Time at={token.expires_at} /> : "no end") },
    { name: "Last used", show: (token) => (token.last_used_at ? <Time at={token.last_used_at} /> : "never") },
    {
      name: "Order",
      show: (token) => <Order needs="look" text="Revoke" method="DELETE" path={`/v1${pathOf("tokens", token.name)}`} done={again} />,
    },
  ];
  const own = data?.tokens.filter((token) => token.user === user);
  return (
    <>
      <Problem error={error} />
      {!own && !error && <Loading what="tokens" />}
      {own?.length === 0 && <Empty>No token.</Empty>}
      {own && own.length > 0 && <Table label="Tokens" columns={columns} items={own} keyOf={(token) => token.name} />}
      <form class="bar" onSubmit={submit}>
        <label class="choice">
          <span>name of a new token</span>
          <input name="name" maxLength={100} autocomplete="off" spellcheck={false} required />
        </label>
        <label class="choice">
          <span>to</span>
          <select name="scope">
            {SCOPES.filter(([, , least]) => ROLES.indexOf(role) >= ROLES.indexOf(least)).map(([scope, text]) => (
              <option key={scope} value={scope}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <label class="choice">
          <span>days (0: no end)</span>
          <input name="days" type="number" min={0} max={3650} defaultValue="90" required />
        </label>
        <button type="submit" disabled={making.busy}>
          Make
        </button>
      </form>
      <Problem error={making.error} />
      {made && (
        <p class="done" role="status">
          {made.name}: <code>{made.token}</code>
          <br />
          Copy it now: it is shown only this once.
        </p>
      )}
    </>
  );
}
