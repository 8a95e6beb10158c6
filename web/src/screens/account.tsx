// One's own account: password and tokens.
import { useYou } from "../api/session";
import { Budget } from "../ui/account";
import { Card, Empty, Facts, Problem } from "../ui/parts";
import { NewPassword } from "../ui/password";
import { typed, useSend } from "../ui/send";
import { TokenList } from "../ui/tokens";

export function AccountScreen() {
  const you = useYou();
  if (!you?.name || !you.role) return null;
  return (
    <>
      <h1>
        <bdi>{you.name}</bdi>
      </h1>
      <Facts
        facts={[
          ["Role", you.role],
          ["Budget", you.budget && <Budget budget={you.budget} />],
        ]}
      />
      {you.account ? (
        <>
          {you.how === "session password" && <Password name={you.name} />}
          <Card title="Tokens for programs">
            <TokenList user={you.name} role={you.role} />
          </Card>
        </>
      ) : (
        <Empty>This is no account of its own: it has neither a password nor tokens.</Empty>
      )}
    </>
  );
}

function Password({ name }: { name: string }) {
  // The server ends all sessions of the account then: the login page comes by itself.
  const { busy, error, send } = useSend(() => location.reload());
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    send("/v1/session/password", "PUT", { password: typed(form, "password"), new: typed(form, "new") });
  };
  return (
    <Card title="Password">
      <form class="bar" onSubmit={submit}>
        {/* For programs that keep passwords. */}
        <input class="hidden" autocomplete="username" value={name} aria-label="Name" readOnly tabIndex={-1} />
        <label class="choice">
          <span>Password now</span>
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <NewPassword />
        <button type="submit" disabled={busy}>
          Change
        </button>
      </form>
      <p class="empty">You log in again after it, everywhere.</p>
      <Problem error={error} />
    </Card>
  );
}
