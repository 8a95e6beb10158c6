// Who may come in: users, their roles, budgets and tokens.
import { type Asked, useData, useNow } from "../api/data";
import { useYou } from "../api/session";
import type { Role, UserItem } from "../api/types";
import { decimal } from "../numbers";
import { address, go, pathOf, useRoute } from "../route";
import { ago } from "../times";
import { Budget } from "../ui/account";
import { Order } from "../ui/order";
import { Card, type Column, Empty, Facts, Loading, Problem, Table, Time } from "../ui/parts";
import { NewPassword } from "../ui/password";
import { typed, useSend } from "../ui/send";
import { TokenList } from "../ui/tokens";

const ROLES: readonly (readonly [Role, string])[] = [
  ["viewer", "looks"],
  ["researcher", "runs workflows within a budget"],
  ["operator", "gives all orders"],
  ["admin", "manages users, too"],
];

type Page = { readonly items: readonly UserItem[] };

export function UsersScreen({ rest }: { rest: readonly string[] }) {
  const list = useData<Page>("/v1/users");
  const { query } = useRoute();
  const [name] = rest;
  if (name !== undefined) return <User name={name} list={list} />;
  const q = (query.get("q") ?? "").toLowerCase();
  const shown = list.data?.items.filter((user) => `${user.name} ${user.role}`.toLowerCase().includes(q));
  return (
    <>
      <h1>Users</h1>
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <label class="choice">
          <span>name or role</span>
          <input
            type="search"
            value={query.get("q") ?? ""}
            autocomplete="off"
            onInput={(event) => go(address("/users", { q: event.currentTarget.value }), { replace: true })}
          />
        </label>
      </form>
      <Problem error={list.error} />
      {!shown && !list.error && <Loading what="users" />}
      {shown?.length === 0 && <Empty>{q ? "No user is like that." : "There is no user yet."}</Empty>}
      {shown && shown.length > 0 && <List users={shown} />}
      <NewUser done={list.again} />
    </>
  );
}

function List({ users }: { users: readonly UserItem[] }) {
  const now = useNow(30_000);
  const columns: readonly Column<UserItem>[] = [
    {
      name: "User",
      show: (user) => (
        <a href={pathOf("users", user.name)}>
          <bdi>{user.name}</bdi>
        </a>
      ),
    },
    { name: "Role", show: (user) => user.role },
    { name: "Logs in", show: way },
    { name: "Last login", show: (user) => ago(user.seen_at, now) },
    { name: "Spent", kind: "number", show: (user) => `${decimal(user.budget.spent, 2)} ${user.budget.currency}` },
    { name: "Budget", kind: "number", show: (user) => (user.budget.limit === null ? "no limit" : decimal(user.budget.limit, 2)) },
  ];
  return (
    <Table
      label="Users"
      columns={columns}
      items={users}
      keyOf={(user) => user.name}
      open={(user) => go(pathOf("users", user.name))}
    />
  );
}

function way(user: UserItem): string {
  if (user.disabled) return "disabled";
  if (user.issuer) return `at ${new URL(user.issuer).host}`;
  return user.has_password ? "with a password" : "with tokens only";
}

function NewUser({ done }: { done: () => void }) {
  const { busy, error, send } = useSend<UserItem>((made) => {
    done();
    go(pathOf("users", made.name));
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const budget = typed(form, "budget");
    send("/v1/users", "POST", {
      name: typed(form, "name").trim(),
      role: typed(form, "role"),
      password: typed(form, "new"),
      ...(budget === "" ? {} : { budget: Number(budget) }),
    });
  };
  return (
    <Card title="New user">
      <form class="bar" onSubmit={submit}>
        <label class="choice">
          <span>Name</span>
          <input name="name" maxLength={100} autocomplete="off" autocapitalize="none" spellcheck={false} required />
        </label>
        <RoleChoice value="viewer" />
        <NewPassword label="Password" />
        <BudgetField value={null} />
        <button type="submit" disabled={busy}>
          Add
        </button>
      </form>
      <Problem error={error} />
    </Card>
  );
}

function RoleChoice({ value }: { value: Role }) {
  return (
    <label class="choice">
      <span>Role</span>
      <select name="role">
        {ROLES.map(([role, text]) => (
          <option key={role} value={role} selected={role === value}>
            {role}: {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function BudgetField({ value }: { value: number | null }) {
  return (
    <label class="choice">
      <span>Budget (empty: no limit)</span>
      <input name="budget" type="number" min={0} step="any" defaultValue={value === null ? "" : String(value)} />
    </label>
  );
}

function User({ name, list }: { name: string; list: Asked<Page> }) {
  const you = useYou();
  const user = list.data?.items.find((known) => known.name === name);
  if (!list.data) return list.error ? <Problem error={list.error} /> : <Loading what="the user" />;
  if (!user) return <Empty>There is no such user.</Empty>;
  const path = `/v1${pathOf("users", name)}`;
  const own = you?.name === name;
  return (
    <>
      <h1>
        <bdi>{name}</bdi>
      </h1>
      <Facts
        facts={[
          ["Role", user.role],
          ["Logs in", way(user)],
          ["Known there as", user.subject],
          ["Since", <Time at={user.created_at} />],
          ["Last login", user.seen_at ? <Time at={user.seen_at} /> : "never"],
          ["Budget", <Budget budget={user.budget} />],
        ]}
      />
      {own && <Empty>This is you: another admin changes your role, or disables you.</Empty>}
      {!own && <Change key={user.role} user={user} path={path} done={list.again} />}
      <Card title="Budget">
        <Change budget user={user} path={path} done={list.again} />
      </Card>
      {!user.issuer && (
        <Card title="New password">
          <Password path={path} done={list.again} />
        </Card>
      )}
      <Card title="Tokens">
        <TokenList user={name} role={user.role} />
      </Card>
      {!own && (
        <p class="bar">
          <Order
            needs="manage"
            text={user.disabled ? "Enable" : "Disable"}
            method="PATCH"
            path={path}
            body={{ disabled: !user.disabled }}
            done={list.again}
          />
          <Order
            needs="manage"
            text="Remove"
            method="DELETE"
            path={path}
            done={() => {
              list.again();
              go("/users");
            }}
          />
        </p>
      )}
      <p>
        <a href={address("/audit", { user: name })}>What {name} ordered</a>
      </p>
    </>
  );
}

interface ChangeProps {
  readonly user: UserItem;
  readonly path: string;
  readonly done: () => void;
  readonly budget?: boolean;
}

/** Change the role, or the budget. */
function Change({ user, path, done, budget = false }: ChangeProps) {
  const { busy, error, send } = useSend(done);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const limit = typed(form, "budget");
    send(path, "PATCH", budget ? { budget: limit === "" ? null : Number(limit) } : { role: typed(form, "role") });
  };
  const form = (
    <>
      <form class="bar" onSubmit={submit}>
        {budget ? <BudgetField value={user.budget.limit} /> : <RoleChoice value={user.role} />}
        <button type="submit" disabled={busy}>
          Save
        </button>
      </form>
      <Problem error={error} />
    </>
  );
  if (budget) return form;
  return (
    <Card title="Role">
      {form}
      {user.issuer && <p class="empty">The provider's groups set it anew at each login.</p>}
    </Card>
  );
}

function Password({ path, done }: { path: string; done: () => void }) {
  const { busy, error, send } = useSend(done);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    send(path, "PATCH", { password: typed(form, "new") });
    form.reset();
  };
  return (
    <>
      <form class="bar" onSubmit={submit}>
        <NewPassword />
        <button type="submit" disabled={busy}>
          Set
        </button>
      </form>
      <p class="empty">All sessions of this user end.</p>
      <Problem error={error} />
    </>
  );
}
