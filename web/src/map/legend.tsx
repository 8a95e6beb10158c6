// What the colors of the map mean.
import { HAIL_SIZES, LEVELS } from "./layers";

export interface LegendProps {
  readonly hail: boolean;
  /** Of the reflectivity, if it is shown. */
  readonly colors: readonly (readonly [number, string])[];
}

export function Legend({ hail, colors }: LegendProps) {
  return (
    <div class="map-key" aria-label="Legend" role="group">
      <span>Storms, dBZ</span>
      {LEVELS.map(([level, shade]) => (
        <Swatch key={level} shade={shade} text={String(level)} />
      ))}
      {colors.length > 0 && <Scale colors={colors} />}
      {hail && (
        <>
          <span>Hail, mm</span>
          {HAIL_SIZES.map(([size, shade, text]) => (
            <Swatch key={size} shade={shade} text={text} />
          ))}
        </>
      )}
      <span>▲ fresh</span>
      <span>! late</span>
      <span>✕ silent</span>
      <span>◆ place</span>
      <span>⚠ alerted</span>
    </div>
  );
}

function Scale({ colors }: { colors: LegendProps["colors"] }) {
  const width = 120 / colors.length;
  return (
    <span>
      Reflectivity, dBZ {colors[0]?.[0]}{" "}
      <svg width="120" height="12" aria-hidden="true">
        {colors.map(([from, shade], number) => (
          <rect key={from} x={number * width} width={width + 0.5} height="12" fill={shade} />
        ))}
      </svg>{" "}
      {colors.at(-1)?.[0]}
    </span>
  );
}

function Swatch({ shade, text }: { shade: string; text: string }) {
  return (
    <span>
      <svg width="12" height="12" aria-hidden="true">
        <rect width="12" height="12" fill={shade} />
      </svg>{" "}
      {text}
    </span>
  );
}
