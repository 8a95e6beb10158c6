// What was clicked, and where it comes from.
import type { ComponentChildren } from "preact";
import { useData } from "../api/data";
import type { RunDetail } from "../api/types";
import { decimal } from "../numbers";
import { pathOf } from "../route";
import { Download } from "../ui/files";
import { Facts, State, Time } from "../ui/parts";
import type { Frame } from "./frames";

type Properties = Readonly<Record<string, unknown>>;

export interface Pick {
  readonly frame: Frame;
  readonly contour: Properties | undefined;
  /** Of the layers above the contours, the uppermost first. */
  readonly others: readonly { readonly kind: string; readonly facts: Properties }[];
}

export function Picked({ pick, close }: { pick: Pick; close: () => void }) {
  const { frame, contour, others } = pick;
  return (
    <aside class="picked" aria-label="What was clicked">
      <button type="button" onClick={close} aria-label="Close">
        ✕
      </button>
      {others.map(({ kind, facts }) =>
        kind === "hail" ? (
          <Hail key={kind} facts={facts} />
        ) : kind === "radars" ? (
          <Radar key={kind} facts={facts} />
        ) : (
          <Place key={kind} facts={facts} />
        ),
      )}
      {contour && (
        <>
          <h2>Storm, {text(contour, "level_dbz")} dBZ and more</h2>
          <Facts
            facts={[
              ["Area", number(contour, "area_km2", "km²")],
              ["Strongest", number(contour, "max_dbz", "dBZ")],
              ["Valid", <Time key="v" at={frame.validAt} />],
              ["Lead", frame.leadMin === null ? "observed" : `${frame.leadMin} min`],
            ]}
          />
          <Source run={frame.run} product={frame.product} what="contours" />
        </>
      )}
    </aside>
  );
}

function Hail({ facts }: { facts: Properties }) {
  const size = Number(facts["size_mm"]);
  return (
    <>
      <h2>Hail{size > 0 ? `, ${decimal(size, 0)} mm` : " of unknown size"}</h2>
      <Facts
        facts={[
          ["Class", text(facts, "hail_class")],
          ["Area", number(facts, "area_km2", "km²")],
          ["Strongest", number(facts, "max_dbz", "dBZ")],
          ["Seen by", text(facts, "radar")],
          ["Valid", <Time key="v" at={text(facts, "valid_at")} />],
        ]}
      />
      <Source run={text(facts, "run")} product={Number(facts["product"])} what="hail areas" />
    </>
  );
}

function Radar({ facts }: { facts: Properties }) {
  const feed = text(facts, "feed");
  return (
    <>
      <h2>Radar {text(facts, "radar")}</h2>
      <Facts
        facts={[
          ["State", text(facts, "state") && <State key="s" value={text(facts, "state")} />],
          ["Why", text(facts, "reason")],
          ["Newest data", <Time key="t" at={text(facts, "last_valid_at")} />],
          ["Range", number(facts, "range_km", "km", 0)],
          [
            "Feed",
            <a key="f" href={pathOf("feeds", feed)}>
              {feed}
            </a>,
          ],
        ]}
      />
    </>
  );
}

function Place({ facts }: { facts: Properties }) {
  const alerts: readonly [string, ComponentChildren][] = [
    ["Storm", text(facts, "storm_since") && <Alert facts={facts} since="storm_since" strongest="storm_dbz" unit="dBZ" />],
    ["Hail", text(facts, "hail_since") && <Alert facts={facts} since="hail_since" strongest="hail_now_mm" unit="mm" />],
  ];
  return (
    <>
      <h2>{text(facts, "name")}</h2>
      <Facts
        facts={[
          ["Locality", text(facts, "locality")],
          ...alerts,
          ["Now", text(facts, "state") !== "alerted" && "nothing near"],
          [
            "Alerts",
            `within ${decimal(Number(facts["distance_km"]), 0)} km, from ${decimal(Number(facts["level_dbz"]), 0)} dBZ or ` +
              (Number(facts["hail_mm"]) > 0 ? `hail of ${decimal(Number(facts["hail_mm"]), 0)} mm` : "any hail"),
          ],
        ]}
      />
    </>
  );
}

function Alert({ facts, since, strongest, unit }: { facts: Properties; since: string; strongest: string; unit: string }) {
  return (
    <>
      near since <Time at={text(facts, since)} />, up to {number(facts, strongest, unit, 0)}
    </>
  );
}

function Source({ run: name, product, what }: { run: string; product: number | null; what: string }) {
  const { data: run } = useData<RunDetail>(name ? `/v1${pathOf("runs", name)}` : null);
  return (
    <ul>
      <li>
        Run <a href={pathOf("runs", name)}>{name}</a>
        {run && ` of ${run.workflow}, ${run.state}`}
      </li>
      {run?.inputs.map((input) => (
        <li key={input.path} title={input.path}>
          Input {input.path.split("/").pop()}
        </li>
      ))}
      {product !== null && (
        <li>
          <Download path={`/v1/products/${product}/file`} name={`${what.replaceAll(" ", "-")}-${name}-${product}.geojson`}>
            Download the {what}
          </Download>
        </li>
      )}
    </ul>
  );
}

/** Properties come from files: whatever they are, they are shown as text. */
function text(facts: Properties, name: string): string {
  const value = facts[name];
  return value === null || value === undefined || value === "null" ? "" : String(value);
}

function number(facts: Properties, name: string, unit: string, digits = 1): string {
  const value = text(facts, name);
  return value !== "" && Number.isFinite(Number(value)) ? `${decimal(Number(value), digits)} ${unit}` : "";
}
