// The weather: what was and what is expected, played over a map; a click tells where it comes from.
import type { Map as MapLibre, MapGeoJSONFeature } from "maplibre-gl";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { style } from "../map/basemap";
import type { Frame } from "../map/frames";
import { useFrames, useOverlays } from "../map/frames";
import { addOverlays, CLICKABLE, fillOverlay, FrameLayers, LEVELS, OVERLAYS, showOverlay } from "../map/layers";
import { Picked, type Pick } from "../map/picked";
import { Player } from "../map/player";
import { isDark, usePreferences } from "../preferences";
import { setParameters, useRoute } from "../route";
import { Problem } from "../ui/parts";

/** Contiguous United States, until there is weather to look at. */
const START = { center: [-97, 38] as [number, number], zoom: 3.6 };

/** Observations before the nowcast. */
const PASTS = [
  ["0", "no past"],
  ["12", "12 frames before"],
  ["60", "60 frames before"],
] as const;

export function MapScreen() {
  const { query } = useRoute();
  usePreferences();
  const dark = isDark();
  const place = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<{ map: MapLibre; layers: FrameLayers }>();
  const [failed, setFailed] = useState("");
  const [picked, setPicked] = useState<Pick>();
  const past = query.get("past") ?? "12";
  const { frames, error, first, none, lines, line } = useFrames({
    line: query.get("line") ?? "",
    run: query.get("run") ?? "",
    past: Number(past) || 0,
  });
  const overlays = useOverlays();
  const hidden = useMemo(() => (query.get("hide") ?? "").split(",").filter(Boolean), [query]);
  const speed = query.get("speed") ?? "5";
  const playing = query.get("play") === "1";

  // The time stands in the address, so that a stopped animation can be sent to a colleague; while it plays it does not.
  const asked = query.get("at");
  const [running, setRunning] = useState<number>();
  const found = frames.findIndex((frame) => frame.validAt === asked);
  const index = Math.min(running ?? (found >= 0 ? found : first), Math.max(0, frames.length - 1));
  const shown = frames[index];
  const show = useCallback(
    (to: number) => {
      setRunning(to);
      if (!playing) setParameters({ at: frames[to]?.validAt ?? "" });
    },
    [frames, playing],
  );
  const ready = useCallback(() => drawn?.map.areTilesLoaded() ?? false, [drawn]);
  const play = (on: boolean) =>
    setParameters(on ? { play: "1", at: "" } : { play: "", at: frames[running ?? index]?.validAt ?? "" });

  useEffect(() => {
    let map: MapLibre | undefined;
    let gone = false;
    void import("../map/maplibre")
      .then(({ maplibre }) => {
        if (gone || !place.current) return;
        const view = viewOf(new URLSearchParams(location.search).get("view"));
        map = new maplibre.Map({
          container: place.current,
          style: style(isDark()),
          ...(view ?? START),
          maxZoom: 13,
          attributionControl: { compact: true },
          fadeDuration: 0,
          dragRotate: false,
          pitchWithRotate: false,
        });
        map.touchZoomRotate.disableRotation();
        map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
        map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
        const made = map;
        made.once("style.load", () => {
          addOverlays(made, isDark());
          setDrawn({ map: made, layers: new FrameLayers(made) });
        });
        made.on("moveend", (event) => {
          if (!event.originalEvent) return;
          const { lng, lat } = made.getCenter();
          setParameters({ view: [lng.toFixed(3), lat.toFixed(3), made.getZoom().toFixed(2)].join() });
        });
      })
      .catch((problem: unknown) => setFailed(`This browser cannot draw the map: ${String(problem)}`));
    return () => {
      gone = true;
      map?.remove();
      setDrawn(undefined);
    };
  }, [dark]);

  useEffect(() => drawn?.layers.set(frames), [drawn, frames]);
  useEffect(() => {
    if (shown) drawn?.layers.show(shown.key);
  }, [drawn, frames, shown]);
  useEffect(() => {
    if (!drawn) return;
    for (const name of OVERLAYS) {
      const data = overlays[name];
      if (data) fillOverlay(drawn.map, name, data);
      showOverlay(drawn.map, name, !hidden.includes(name));
    }
  }, [drawn, overlays, hidden]);
  useStartView(drawn?.map, frames, first);

  useEffect(() => {
    if (!drawn) return;
    const { map, layers } = drawn;
    const layersHere = () => [...CLICKABLE.filter((layer) => map.getLayer(layer)), ...layers.clickable];
    const click = (event: { point: { x: number; y: number } }) => {
      const hits = map.queryRenderedFeatures([event.point.x, event.point.y], { layers: layersHere() });
      setPicked(hits.length > 0 && shown ? pickOf(hits, shown) : undefined);
    };
    map.on("click", click);
    return () => void map.off("click", click);
  }, [drawn, shown]);

  return (
    <div class="map-screen">
      <h1 class="hidden">Map</h1>
      <div class="map" ref={place} data-ready={drawn && frames.length > 0 ? "yes" : undefined} />
      <div class="map-bar">
        <Problem error={error} />
        {failed && <p class="problem">{failed}</p>}
        {none && <p class="empty">No nowcast is published yet.</p>}
        {frames.length === 0 && !none && !error && <p class="empty">Loading…</p>}
        <Player
          {...{ frames, index, playing, speed, show, play, ready }}
          pace={(value) => setParameters({ speed: value })}
        />
        <div class="map-key">
          {lines.length > 1 && (
            <select
              value={line}
              aria-label="Nowcast"
              onChange={(event) => setParameters({ line: event.currentTarget.value, run: "", at: "" })}
            >
              {lines.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
          <select value={past} aria-label="Past" onChange={(event) => setParameters({ past: event.currentTarget.value })}>
            {PASTS.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
          {query.get("run") && (
            <button type="button" onClick={() => setParameters({ run: "", at: "" })}>
              Newest nowcast
            </button>
          )}
          {LEVELS.map(([level, shade]) => (
            <span key={level}>
              <svg width="12" height="12" aria-hidden="true">
                <rect width="12" height="12" fill={shade} />
              </svg>{" "}
              {level}
            </span>
          ))}
          <span>dBZ</span>
          {OVERLAYS.map((name) => (
            <label key={name}>
              <input
                type="checkbox"
                checked={!hidden.includes(name)}
                onChange={(event) => {
                  const others = hidden.filter((other) => other !== name);
                  setParameters({ hide: (event.currentTarget.checked ? others : [...others, name]).join() });
                }}
              />{" "}
              {name}
            </label>
          ))}
        </div>
      </div>
      {picked && <Picked pick={picked} close={() => setPicked(undefined)} />}
    </div>
  );
}

function pickOf(hits: readonly MapGeoJSONFeature[], frame: Frame): Pick {
  // Of contours on top of each other the highest level is the one meant.
  const contours = hits.filter((hit) => hit.layer.id.startsWith("frame-"));
  const other = hits.find((hit) => !hit.layer.id.startsWith("frame-"));
  const highest = contours.sort((a, b) => Number(b.properties["level_dbz"]) - Number(a.properties["level_dbz"]))[0];
  return { frame, contour: highest?.properties, other: other && { kind: other.source, facts: other.properties } };
}

function viewOf(text: string | null): { center: [number, number]; zoom: number } | undefined {
  const [lng, lat, zoom] = (text ?? "").split(",").map(Number);
  if (lng === undefined || lat === undefined || zoom === undefined) return undefined;
  const fine = Math.abs(lng) <= 360 && Math.abs(lat) <= 85 && zoom >= 0 && zoom <= 20;
  return fine ? { center: [lng, lat], zoom } : undefined;
}

/** Show where the weather is, once, unless the address says where to look. */
function useStartView(map: MapLibre | undefined, frames: readonly Frame[], first: number): void {
  const done = useRef<MapLibre | undefined>(undefined);
  useEffect(() => {
    if (!map || done.current === map || new URLSearchParams(location.search).has("view")) return;
    const box = boundsOf(frames[first]?.contours ?? frames[0]?.contours);
    if (!box) return;
    done.current = map;
    map.fitBounds(box, { padding: 60, maxZoom: 8, duration: 0 });
  }, [map, frames, first]);
}

function boundsOf(contours: GeoJSON.FeatureCollection | undefined): [number, number, number, number] | undefined {
  let box: [number, number, number, number] | undefined;
  const visit = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    const [x, y] = part as unknown[];
    if (typeof x === "number" && typeof y === "number")
      box = box ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)] : [x, y, x, y];
    else for (const inner of part) visit(inner);
  };
  for (const { geometry } of contours?.features ?? []) if ("coordinates" in geometry) visit(geometry.coordinates);
  return box;
}
