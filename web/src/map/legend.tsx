// What the colors of the map mean.
import { HAIL_SIZES, LEVELS } from "./layers";

export function Legend({ hail }: { hail: boolean }) {
  return (
    <div class="map-key" aria-label="Legend" role="group">
      <span>Storms, dBZ</span>
      {LEVELS.map(([level, shade]) => (
        <Swatch key={level} shade={shade} text={String(level)} />
      ))}
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
