// All at a glance: how data come, what is wrong, what runs, and what was announced.
import type { ComponentChildren } from "preact";
import { useData, useNow } from "../api/data";
import { useRuns } from "../api/runs";
import type { AlertItem, FeedItem, LoadShown, ProblemItem, RunItem, StatusShown } from "../api/types";
import type { Page } from "../api/data";
import { count } from "../numbers";
import { address, pathOf } from "../route";
import { ago, span } from "../times";
import { LoadChart } from "../ui/load";
import { Card, Empty, Loading, Problem, State, Time, toneOf } from "../ui/parts";
import { RunTable } from "./runs";

const ACTIVE = ["created", "planned", "submitted", "running", "publishing", "held"];

export function NowScreen() {
  return (
    <>
      <h1 class="hidden">Now</h1>
      <div class="cards">
        <Feeds />
        <Problems />
        <Load />
        <Alerts />
        <Runs />
      </div>
    </>
  );
}

function Feeds() {
  const { data, error } = useData<Page<FeedItem>>("/v1/feeds", ["arrival", "problem"], 10_000);
  const now = useNow();
  return (
    <Card title="Data" wide>
      <Problem error={error} />
      {data === undefined ? (
        !error && <Loading what="feeds" />
      ) : data.items.length === 0 ? (
        <Empty>No feed is configured.</Empty>
      ) : (
        <ul class="strip">
          {data.items.map((feed) => (
            <Feed key={feed.name} feed={feed} now={now} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Feed({ feed, now }: { feed: FeedItem; now: number }) {
  const age = feed.last_valid_at ? `newest data ${ago(feed.last_valid_at, now)}` : "no data yet";
  return (
    <li class={`tile ${toneOf(feed.state)}`}>
      <a href={pathOf("feeds", feed.name)}>
        <strong>{feed.name}</strong>
      </a>
      {feed.state && <State value={feed.state} />}
      <span>{age}</span>
      {feed.quarantined > 0 && (
        <a href={address(pathOf("feeds", feed.name), { state: "quarantined" })}>{feed.quarantined} quarantined</a>
      )}
      {feed.waiting > 0 && <span>{count(feed.waiting, "run")} at work</span>}
      {feed.per_radar.length > 1 && (
        <span class="radars">
          {feed.per_radar.map((radar) => (
            <span key={radar.radar} class={toneOf(radar.state)} title={`${radar.state}: ${radar.reason}`}>
              {radar.radar}
            </span>
          ))}
        </span>
      )}
    </li>
  );
}

function Problems() {
  const { data, error } = useData<Page<ProblemItem>>("/v1/problems?state=open&limit=20", ["problem"]);
  const now = useNow(5000);
  return (
    <Card title="Open problems">
      <Problem error={error} />
      {data?.items.length === 0 && <Empty>Nothing is wrong.</Empty>}
      <ul class="plain">
        {data?.items.map((problem) => (
          <li key={problem.id}>
            <State value={problem.state} /> <strong>{problem.subject}</strong> {problem.reason}{" "}
            <small>
              <Time at={problem.opened_at} />, {ago(problem.opened_at, now)}
            </small>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Runs() {
  const states = ACTIVE.map((state) => `state=${state}`).join("&");
  const active = useRuns(`/v1/runs?limit=10&${states}`);
  const status = useData<StatusShown>("/v1/status", ["problem"], 5000);
  const ended = useRuns("/v1/runs?limit=5");
  const counts = Object.entries(status.data?.runs ?? {}).filter(([, number]) => number > 0);
  return (
    <Card title="Runs" more="/runs" wide>
      <Problem error={active.error} />
      <p>
        Last 24 hours:{" "}
        {counts.length === 0
          ? "none"
          : counts.map(([state, number]) => (
              <a key={state} class="count" href={address("/runs", { state, since: "1d" })}>
                {number} <State value={state} />
              </a>
            ))}
      </p>
      {active.data && active.data.items.length > 0 ? (
        <RunTable items={active.data.items.slice(0, 10)} label="Runs at work" />
      ) : (
        ended.data && <Last items={ended.data.items.slice(0, 5)} />
      )}
    </Card>
  );
}

function Last({ items }: { items: readonly RunItem[] }): ComponentChildren {
  if (items.length === 0) return <Empty>No runs yet: they start when files arrive.</Empty>;
  return (
    <>
      <p class="empty">Nothing runs. The last ones:</p>
      <RunTable items={items} label="Last runs" />
    </>
  );
}

function Load() {
  const { data, error } = useData<LoadShown>("/v1/load", ["fleet", "worker"], 30_000);
  return (
    <Card title="Demand and capacity">
      <Problem error={error} />
      {data && (
        <>
          <p>{data.sentence}</p>
          {data.points.length > 1 ? <LoadChart load={data} /> : <Empty>No load was recorded yet.</Empty>}
        </>
      )}
    </Card>
  );
}

function Alerts() {
  const { data, error } = useData<Page<AlertItem>>("/v1/alerts?limit=8", ["alert"]);
  const now = useNow(5000);
  return (
    <Card title="Last alerts">
      <Problem error={error} />
      {data?.items.length === 0 && <Empty>No alert yet.</Empty>}
      <ul class="plain">
        {data?.items.map((alert) => (
          <li key={alert.id}>
            <Time at={alert.created_at} /> <strong>{alert.place}</strong> {alert.text}
            {alert.deliveries
              .filter((delivery) => delivery.error)
              .map((delivery) => (
                <small key={delivery.channel}>
                  {" "}
                  {delivery.channel}: {delivery.error}
                </small>
              ))}
            <small> {span((now - Date.parse(alert.created_at)) / 1000)} ago</small>
          </li>
        ))}
      </ul>
    </Card>
  );
}
