// What was decided, why, and with which numbers; and why something did not happen.
import { useList, useNow } from "../api/data";
import type { DecisionItem } from "../api/types";
import { RUN } from "../names";
import { address, pathOf, setParameters, useRoute } from "../route";
import { since } from "../times";
import { Choice, type Column, Empty, Filter, Loading, Problem, Table, Time } from "../ui/parts";
import { Numbers } from "./run";

const WINDOWS = [
  ["1h", "last hour"],
  ["1d", "last day"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
] as const;
const FIELDS = [
  ["q", "words in the reason"],
  ["trigger", "trigger"],
  ["verdict", "decision"],
  ["run", "run or file"],
] as const;

export function DecisionsScreen() {
  const { query } = useRoute();
  const now = useNow(60_000);
  const value = (name: string) => query.get(name) ?? "";
  const asked = Object.fromEntries(FIELDS.map(([name]) => [name, value(name)]));
  const window = value("since") || (value("run") ? "" : "1d");
  const list = useList<DecisionItem>(address("/v1/decisions", { ...asked, since: since(window, now) ?? "" }), ["decision"]);
  const verdicts = [...new Set((list.data ?? []).map((item) => item.action))].sort();
  return (
    <>
      <h1>Decisions</h1>
      <form class="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        {FIELDS.map(([name, label]) => (
          <Filter
            key={name}
            label={label}
            value={value(name)}
            choose={(text) => setParameters({ [name]: text })}
            {...(name === "verdict" ? { list: "verdicts" } : {})}
          />
        ))}
        <datalist id="verdicts">
          {verdicts.map((verdict) => (
            <option key={verdict} value={verdict} />
          ))}
        </datalist>
        <Choice label="made" value={window} options={value("run") ? [["", "any time"], ...WINDOWS] : WINDOWS} choose={(text) => setParameters({ since: text })} />
        {query.size > 0 && <a href="/decisions">Clear</a>}
      </form>
      <Problem error={list.error} />
      {list.data === undefined && !list.error && <Loading what="decisions" />}
      {list.data?.length === 0 && <Empty>No decision is like that.</Empty>}
      {list.data && list.data.length > 0 && (
        <Table label="Decisions" columns={COLUMNS} items={list.data} keyOf={(item) => item.id} />
      )}
      {list.more && (
        <p>
          <button type="button" onClick={list.more}>
            Older decisions
          </button>
        </p>
      )}
    </>
  );
}

const COLUMNS: readonly Column<DecisionItem>[] = [
  { name: "Time", show: (item) => <Time at={item.time} /> },
  { name: "Decision", show: (item) => <a href={address("/decisions", { verdict: item.action })}>{item.action}</a> },
  { name: "About", kind: "text", show: (item) => <Subject subject={item.subject} /> },
  { name: "Why", kind: "text", show: (item) => item.reason },
  { name: "Numbers", kind: "text", show: (item) => <Numbers data={item.data} /> },
];

function Subject({ subject }: { subject: string }) {
  if (RUN.test(subject)) return <a href={pathOf("runs", subject)}>{subject}</a>;
  return (
    <a href={address("/decisions", { run: subject })} title={subject}>
      {subject.split("/").pop()}
    </a>
  );
}
