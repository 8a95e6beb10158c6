// The weather: what was and what is expected, played over a map; a click tells where it comes from.
import type { Map as MapLibre, MapGeoJSONFeature } from "maplibre-gl";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { style } from "../map/basemap";
import type { Frame } from "../map/frames";
import { useFrames } from "../map/frames";
import { useHail } from "../map/hail";
import { addOverlays, CLICKABLE, fillOverlay, FrameLayers, OVERLAYS, showOverlay } from "../map/layers";
import { Legend } from "../map/legend";
import { useOverlays } from "../map/overlays";
import { Picked, type Pick } from "../map/picked";
import { PictureLayer, type Table, TABLES, usePictures } from "../map/pictures";
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
  const [drawn, setDrawn] = useState<{ map: MapLibre; layers: FrameLayers; picture: PictureLayer }>();
  const [failed, setFailed] = useState("");
  const [picked, setPicked] = useState<Pick>();
  const past = query.get("past") ?? "12";
  const { frames, error, first, none, hail, lines, line } = useFrames({
    line: query.get("line") ?? "",
    run: query.get("run") ?? "",
    past: Number(past) || 0,
  });
  const { radars, places } = useOverlays();
  const table: Table | "" = TABLES.find((known) => known === query.get("grid")) ?? "";
  const pictures = usePictures(frames, table);
  const opacity = Math.min(100, Math.max(0, Number(query.get("opacity") ?? "75") || 0));
  const hidden = useMemo(() => (query.get("hide") ?? "").split(",").filter(Boolean), [query]);
  const speed = query.get("speed") ?? "5";
  const playing = query.get("play") === "1";

  // The time stands in the address, so that a stopped animation can be sent to a colleague; while it plays it does not.
  const asked = query.get("at");
  const [running, setRunning] = useState<number>();
  const found = frames.findIndex((frame) => frame.validAt === asked);
  const index = Math.min(running ?? (found >= 0 ? found : first), Math.max(0, frames.length - 1));
  const shown = frames[index];
  const shownTile = shown && pictures.get(shown.key);
  const areas = useHail(hail, frames, shown);
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
          setDrawn({ map: made, picture: new PictureLayer(made), layers: new FrameLayers(made) });
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
    if (!drawn || !shown) return;
    drawn.picture.show(shownTile, opacity / 100);
    drawn.layers.show(shown.key, shownTile !== undefined);
  }, [drawn, frames, shown, shownTile, opacity]);
  useEffect(() => {
    if (drawn) fillOverlay(drawn.map, "hail", areas);
  }, [drawn, areas]);
  useEffect(() => {
    if (drawn && radars) fillOverlay(drawn.map, "radars", radars);
  }, [drawn, radars]);
  useEffect(() => {
    if (drawn && places) fillOverlay(drawn.map, "places", places);
  }, [drawn, places]);
  useEffect(() => {
    if (drawn) for (const name of OVERLAYS) showOverlay(drawn.map, name, !hidden.includes(name));
  }, [drawn, hidden]);
  useStartView(drawn?.map, frames, first, areas, radars);

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
          <select
            value={table}
            aria-label="Reflectivity"
            onChange={(event) => setParameters({ grid: event.currentTarget.value })}
          >
            <option value="">no reflectivity</option>
            <option value="nws">reflectivity</option>
            <option value="cividis">reflectivity, color-blind-safe</option>
          </select>
          {table && (
            <label>
              opacity{" "}
              <input
                type="range"
                min={10}
                max={100}
                step={5}
                value={opacity}
                onInput={(event) => setParameters({ opacity: event.currentTarget.value })}
              />
            </label>
          )}
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
        <Legend hail={!hidden.includes("hail")} colors={shownTile?.facts.colors ?? []} />
      </div>
      {picked && <Picked pick={picked} close={() => setPicked(undefined)} />}
    </div>
  );
}

function pickOf(hits: readonly MapGeoJSONFeature[], frame: Frame): Pick {
  // Of contours on top of each other the highest level is the one meant.
  const contours = hits.filter((hit) => hit.layer.id.startsWith("frame-"));
  const above = hits.filter((hit) => !hit.layer.id.startsWith("frame-"));
  // One of each kind; of hail areas inside each other the one of the largest hail.
  above.sort((a, b) => (Number(b.properties["size_mm"]) || 0) - (Number(a.properties["size_mm"]) || 0));
  const kinds = ["places", "radars", "hail"].flatMap((kind) => above.find((hit) => hit.source === kind) ?? []);
  const highest = contours.sort((a, b) => Number(b.properties["level_dbz"]) - Number(a.properties["level_dbz"]))[0];
  const others = kinds.map((hit) => ({ kind: hit.source, facts: hit.properties }));
  return { frame, contour: highest?.properties, others };
}

function viewOf(text: string | null): { center: [number, number]; zoom: number } | undefined {
  const [lng, lat, zoom] = (text ?? "").split(",").map(Number);
  if (lng === undefined || lat === undefined || zoom === undefined) return undefined;
  const fine = Math.abs(lng) <= 360 && Math.abs(lat) <= 85 && zoom >= 0 && zoom <= 20;
  return fine ? { center: [lng, lat], zoom } : undefined;
}

/** Show where the weather is, or who looks for it, once, unless the address says where to look. */
function useStartView(
  map: MapLibre | undefined,
  frames: readonly Frame[],
  first: number,
  hail: GeoJSON.FeatureCollection,
  radars: GeoJSON.FeatureCollection | undefined,
): void {
  const done = useRef<MapLibre | undefined>(undefined);
  useEffect(() => {
    if (!map || done.current === map || new URLSearchParams(location.search).has("view")) return;
    const box = boundsOf(frames[first]?.contours) ?? boundsOf(frames.at(-1)?.contours) ?? boundsOf(hail) ?? boundsOf(radars);
    if (!box) return;
    // Something better may come, as long as nobody has moved the map.
    if (frames[first] && (frames[first].contours.features.length > 0 || hail.features.length > 0)) done.current = map;
    map.fitBounds(box, { padding: 60, maxZoom: 8, duration: 0 });
  }, [map, frames, first, hail, radars]);
}

/** West, south, east, north; what is on both sides of 180 degrees is taken together, and then reaches beyond it. */
function boundsOf(shapes: GeoJSON.FeatureCollection | undefined): [number, number, number, number] | undefined {
  const plain = boxOf(shapes, (x) => x);
  if (!plain || plain[2] - plain[0] <= 180) return plain;
  return boxOf(shapes, (x) => (x < 0 ? x + 360 : x));
}

function boxOf(
  contours: GeoJSON.FeatureCollection | undefined,
  place: (longitude: number) => number,
): [number, number, number, number] | undefined {
  let box: [number, number, number, number] | undefined;
  const visit = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    const [longitude, y] = part as unknown[];
    const x = typeof longitude === "number" ? place(longitude) : undefined;
    if (x !== undefined && typeof y === "number")
      box = box ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)] : [x, y, x, y];
    else for (const inner of part) visit(inner);
  };
  for (const { geometry } of contours?.features ?? []) if ("coordinates" in geometry) visit(geometry.coordinates);
  return box;
}
