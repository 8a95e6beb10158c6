// Curves over time, drawn by uPlot: loaded with the first chart.
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { isDark, usePreferences } from "../preferences";

export interface Curve {
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly color: string;
  readonly dash?: readonly number[];
  readonly fill?: string;
  readonly steps?: boolean;
}

export interface ChartProps {
  readonly label: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly curves: readonly Curve[];
  readonly unit: string;
  readonly height?: number;
}

/** The same colors as on the screen: a canvas knows no style sheet. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function Chart({ label, times, curves, unit, height = 220 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const { clock } = usePreferences();
  const dark = isDark();
  useEffect(() => {
    let plot: uPlot | undefined;
    let gone = false;
    let watcher: ResizeObserver | undefined;
    void import("../ui/uplot").then(({ uPlot: Plot }) => {
      const element = place.current;
      if (gone || !element) return;
      const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
      const stepped = Plot.paths.stepped?.({ align: 1 });
      plot = new Plot(
        {
          width: element.clientWidth,
          height,
          tzDate: (at) => (clock === "utc" ? Plot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
          axes: [axis, { ...axis, size: 56 }],
          scales: { y: { range: (_self, _min, max) => [0, Math.max(1, max * 1.1)] } },
          series: [
            { label: clock === "utc" ? "UTC" : "local", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
            ...curves.map((curve) => ({
              label: curve.label,
              stroke: color(curve.color),
              width: 2,
              spanGaps: false,
              value: (_self: uPlot, value: number | null) => (value === null ? "–" : `${value.toFixed(1)} ${unit}`),
              ...(curve.dash ? { dash: [...curve.dash] } : {}),
              ...(curve.fill ? { fill: color(curve.fill) } : {}),
              ...(curve.steps && stepped ? { paths: stepped } : {}),
            })),
          ],
        },
        [[...times], ...curves.map((curve) => [...curve.values])],
        element,
      );
      watcher = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
      watcher.observe(element);
    });
    return () => {
      gone = true;
      watcher?.disconnect();
      plot?.destroy();
    };
  }, [times, curves, unit, height, clock, dark]);
  return <div class="chart" ref={place} role="img" aria-label={label} />;
}
