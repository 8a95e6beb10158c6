// Who ordered what, from where, and what came of it.
import { useList, useNow } from "../api/data";
import type { AuditItem } from "../api/types";
import { address, setParameters, useRoute } from "../route";
import { since } from "../times";
import { Choice, type Column, Empty, Filter, Loading, Problem, Table, Time } from "../ui/parts";

const WINDOWS = [
  ["1d", "last day"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
  ["", "any time"],
] as const;

export function AuditScreen() {
  const { query } = useRoute();
  const now = useNow(60_000);
  const user = query.get("user") ?? "";
  const window = query.get("since") ?? "";
  const list = useList<AuditItem>(address("/v1/audit", { user, since: since(window, now) ?? "" }), []);
  return (
    <>
      <h1>Audit</h1>
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <Filter label="who" value={user} choose={(text) => setParameters({ user: text })} />
        <Choice label="ordered" value={window} options={WINDOWS} choose={(text) => setParameters({ since: text })} />
        <button type="button" onClick={list.again}>
          Renew
        </button>
        {query.size > 0 && <a href="/audit">Clear</a>}
      </form>
      <Problem error={list.error} />
      {list.data === undefined && !list.error && <Loading what="orders" />}
      {list.data?.length === 0 && <Empty>No order is like that.</Empty>}
      {list.data && list.data.length > 0 && (
        <Table label="Orders" columns={COLUMNS} items={list.data} keyOf={(item) => item.id} />
      )}
      {list.more && (
        <p>
          <button type="button" onClick={list.more}>
            Older orders
          </button>
        </p>
      )}
    </>
  );
}

const COLUMNS: readonly Column<AuditItem>[] = [
  { name: "Time", show: (item) => <Time at={item.at} /> },
  {
    name: "Who",
    show: (item) => (
      <>
        <a href={address("/audit", { user: item.who })}>
          <bdi>{item.who || "nobody known"}</bdi>
        </a>
        {item.role && ` (${item.role})`}
      </>
    ),
  },
  { name: "How", show: (item) => item.how },
  { name: "From", kind: "id", show: (item) => item.address },
  {
    name: "Order",
    kind: "text",
    show: (item) => (
      <>
        <code>
          {item.method} {item.route}
        </code>{" "}
        <bdi>{item.subject}</bdi>
      </>
    ),
  },
  { name: "With", kind: "text", show: (item) => <bdi>{item.summary}</bdi> },
  { name: "Answer", show: (item) => <Answer status={item.status} /> },
];

function Answer({ status }: { status: number | null }) {
  if (status === null) return <span class="state warn">no answer</span>;
  const [sign, tone] = status < 400 ? ["✓", "good"] : ["✕", "bad"];
  return (
    <span class={`state ${tone}`}>
      <span aria-hidden="true">{sign}</span> {status < 400 ? "done" : `refused: ${status}`}
    </span>
  );
}
