// The menu of the person who is logged in: name, role, budget left, and the way out.
import { useEffect, useRef } from "preact/hooks";
import { logOut, mayLogOut } from "../api/session";
import type { SessionShown } from "../api/types";
import { decimal } from "../numbers";
import { Time } from "./parts";

export function AccountMenu({ you }: { you: SessionShown }) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const open = menu.current;
      const leaves = event instanceof KeyboardEvent ? event.key === "Escape" : !open?.contains(event.target as Node);
      if (open?.open && leaves) {
        open.open = false;
        if (event instanceof KeyboardEvent) open.querySelector("summary")?.focus();
      }
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, []);
  const shut = () => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <details class="account" ref={menu}>
      <summary>
        <span class="hidden">Account: </span>
        <bdi>{you.name}</bdi>
      </summary>
      <div class="card">
        <p>
          <strong>
            <bdi>{you.name}</bdi>
          </strong>
          <br />
          {you.role ?? "no role"}
          {you.how === "this machine" && ", as the user of this machine"}
        </p>
        {you.budget && (
          <p>
            <Budget budget={you.budget} />
          </p>
        )}
        {you.expires_at && (
          <p class="empty">
            Logged in until <Time at={you.expires_at} /> if idle.
          </p>
        )}
        {you.account && (
          <p>
            <a href="/account" onClick={shut}>
              {you.how === "session password" ? "Password and tokens" : "Tokens"}
            </a>
          </p>
        )}
        {mayLogOut(you) && (
          <button type="button" onClick={() => void logOut()}>
            Log out
          </button>
        )}
      </div>
    </details>
  );
}

export function Budget({ budget }: { budget: NonNullable<SessionShown["budget"]> }) {
  const { limit, left, spent, currency, period } = budget;
  const amount = (value: number) => `${decimal(value, 2)} ${currency}`.trim();
  if (limit === null || left === null) return <>No budget limit: {amount(spent)} spent this {period}.</>;
  return (
    <>
      {left > 0 ? `${amount(left)} left` : "Nothing left"} of {amount(limit)} this {period}.
    </>
  );
}
