// Demand against capacity, with what is expected ahead.
import { useMemo } from "preact/hooks";
import type { LoadShown } from "../api/types";
import { Chart, type Curve } from "./chart";

export function LoadChart({ load }: { load: LoadShown }) {
  const { times, curves } = useMemo(() => {
    const points = load.points;
    const past = points.map((point) => (point.kind === "past" ? point.demand_cores : null));
    const firstAhead = points.findIndex((point) => point.kind === "forecast");
    // The forecast begins where the past ends: one line.
    const ahead = points.map((point, at) =>
      point.kind === "forecast" || (firstAhead > 0 && at === firstAhead - 1) ? point.demand_cores : null,
    );
    const drawn: Curve[] = [
      { label: "capacity", values: points.map((point) => point.capacity_cores), color: "good", fill: "good-ground", steps: true },
      { label: "demand", values: past, color: "busy" },
      { label: "expected", values: ahead, color: "warn", dash: [6, 4] },
    ];
    return { times: points.map((point) => Date.parse(point.at) / 1000), curves: drawn };
  }, [load]);
  return <Chart label={`Demand and capacity in cores. ${load.sentence}`} times={times} curves={curves} unit="cores" />;
}
