// What was clicked, and where it comes from.
import { useData } from "../api/data";
import type { RunDetail } from "../api/types";
import { decimal } from "../numbers";
import { pathOf } from "../route";
import { clockTime } from "../times";
import { Download } from "../ui/files";
import { Facts, Time } from "../ui/parts";
import type { Frame } from "./frames";

export interface Pick {
  readonly frame: Frame;
  readonly contour: Readonly<Record<string, unknown>> | undefined;
  readonly other: { readonly kind: string; readonly facts: Readonly<Record<string, unknown>> } | undefined;
}

export function Picked({ pick, close }: { pick: Pick; close: () => void }) {
  const { frame, contour, other } = pick;
  const area = Number(contour?.["area_km2"]);
  const strongest = Number(contour?.["max_dbz"]);
  return (
    <aside class="picked" aria-label="What was clicked">
      <button type="button" onClick={close} aria-label="Close">
        ✕
      </button>
      {other && (
        <>
          <h2>{String(other.facts["name"] ?? other.facts["radar"] ?? other.kind)}</h2>
          <Facts
            facts={Object.entries(other.facts)
              .filter(([name]) => name !== "name")
              .map(([name, value]) => [name.replaceAll("_", " "), String(value)] as const)}
          />
        </>
      )}
      {contour && (
        <>
          <h2>Storm, {String(contour["level_dbz"])} dBZ and more</h2>
          <Facts
            facts={[
              ["Area", Number.isFinite(area) && `${decimal(area)} km²`],
              ["Strongest", Number.isFinite(strongest) && `${decimal(strongest)} dBZ`],
              ["Valid", <Time key="v" at={frame.validAt} />],
              ["Lead", frame.leadMin === null ? "observed" : `${frame.leadMin} min`],
            ]}
          />
          <Source frame={frame} />
        </>
      )}
    </aside>
  );
}

function Source({ frame }: { frame: Frame }) {
  const { data: run } = useData<RunDetail>(`/v1${pathOf("runs", frame.run)}`);
  return (
    <ul>
      <li>
        Run <a href={pathOf("runs", frame.run)}>{frame.run}</a>
        {run && ` of ${run.workflow}, ${run.state}`}
      </li>
      {run?.inputs.map((input) => (
        <li key={input.path} title={input.path}>
          Input {input.path.split("/").pop()}
        </li>
      ))}
      {frame.product !== null && (
        <li>
          <Download path={`/v1/products/${frame.product}/file`} name={`contours-${frame.run}-${clockTime(frame.validAt)}.geojson`}>
            Download the contours
          </Download>
        </li>
      )}
    </ul>
  );
}
