// The weather on the map: contours of each frame, hail, radars and places.
import type { ExpressionSpecification, GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { BELOW_NAMES } from "./basemap";
import type { Frame } from "./frames";

/** From blue by yellow to dark red, told apart with any kind of color vision, lighter to darker by lightness too. */
export const LEVELS: readonly (readonly [number, string])[] = [
  [20, "#8cc5e3"],
  [35, "#3b8fc4"],
  [45, "#f2c230"],
  [55, "#e2611c"],
  [65, "#9b1b5a"],
];

const byLevel: ExpressionSpecification = [
  "interpolate",
  ["linear"],
  ["get", "level_dbz"],
  ...LEVELS.flatMap(([level, shade]) => [level, shade]),
] as unknown as ExpressionSpecification;

const OPACITY = 0.55;
const NOTHING = { type: "FeatureCollection" as const, features: [] };

/** The id of a frame's filled contours, which are what is clicked. */
const fillOf = (key: string) => `frame-${key}-fill`;
const lineOf = (key: string) => `frame-${key}-line`;
const sourceOf = (key: string) => `frame-${key}`;

/**
 * Frames as layers that are all loaded, one of them visible: showing another is one property, and no data move.
 */
export class FrameLayers {
  #keys: string[] = [];
  #shown = "";

  constructor(private readonly map: MapLibre) {}

  /** Take these frames, keeping those that are there already. */
  set(frames: readonly Frame[]): void {
    const wanted = new Set(frames.map((frame) => frame.key));
    for (const key of this.#keys.filter((known) => !wanted.has(known))) this.#remove(key);
    for (const frame of frames) if (!this.#keys.includes(frame.key)) this.#add(frame);
    this.#keys = frames.map((frame) => frame.key);
    this.show(this.#shown);
  }

  show(key: string): void {
    for (const known of new Set([this.#shown, key])) {
      if (!this.map.getLayer(fillOf(known))) continue;
      this.map.setPaintProperty(fillOf(known), "fill-opacity", known === key ? OPACITY : 0);
      this.map.setPaintProperty(lineOf(known), "line-opacity", known === key ? 1 : 0);
    }
    this.#shown = key;
  }

  /** The layer that a click is looked up in. */
  get clickable(): string[] {
    return this.map.getLayer(fillOf(this.#shown)) ? [fillOf(this.#shown)] : [];
  }

  #add(frame: Frame): void {
    const source = sourceOf(frame.key);
    this.map.addSource(source, { type: "geojson", data: frame.contours, tolerance: 0.5 });
    const hidden = { duration: 0, delay: 0 };
    this.map.addLayer(
      {
        id: fillOf(frame.key),
        type: "fill",
        source,
        layout: { "fill-sort-key": ["get", "level_dbz"] },
        paint: { "fill-color": byLevel, "fill-opacity": 0, "fill-opacity-transition": hidden },
      },
      BELOW_NAMES,
    );
    this.map.addLayer(
      {
        id: lineOf(frame.key),
        type: "line",
        source,
        paint: { "line-color": byLevel, "line-width": 1.4, "line-opacity": 0, "line-opacity-transition": hidden },
      },
      BELOW_NAMES,
    );
  }

  #remove(key: string): void {
    if (!this.map.getSource(sourceOf(key))) return;
    this.map.removeLayer(fillOf(key));
    this.map.removeLayer(lineOf(key));
    this.map.removeSource(sourceOf(key));
  }
}

export const OVERLAYS = ["hail", "radars", "places"] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** Add what lies over the frames, still without data. */
export function addOverlays(map: MapLibre, dark: boolean): void {
  const text = { "text-color": dark ? "#ffffff" : "#111111", "text-halo-color": dark ? "#000000" : "#ffffff", "text-halo-width": 1.5 };
  for (const name of OVERLAYS) map.addSource(name, { type: "geojson", data: NOTHING });
  map.addLayer({
    id: "hail-fill",
    type: "fill",
    source: "hail",
    paint: { "fill-color": "#c02fa8", "fill-opacity": 0.35 },
  });
  map.addLayer({
    id: "hail-line",
    type: "line",
    source: "hail",
    paint: { "line-color": "#c02fa8", "line-width": 2, "line-dasharray": [2, 1] },
  });
  map.addLayer({
    id: "places-fill",
    type: "fill",
    source: "places",
    filter: ["match", ["geometry-type"], ["Polygon", "MultiPolygon"], true, false],
    paint: { "fill-color": dark ? "#ffffff" : "#000000", "fill-opacity": 0.08 },
  });
  map.addLayer({
    id: "places-line",
    type: "line",
    source: "places",
    filter: ["match", ["geometry-type"], ["Polygon", "MultiPolygon", "LineString"], true, false],
    paint: { "line-color": dark ? "#ffffff" : "#000000", "line-width": 1.2, "line-dasharray": [1, 1.5] },
  });
  map.addLayer({
    id: "places-point",
    type: "symbol",
    source: "places",
    layout: {
      "text-field": ["concat", "◆ ", ["get", "name"]],
      "text-font": ["sans-serif"],
      "text-size": 12,
      "text-allow-overlap": true,
    },
    paint: text,
  });
  map.addLayer({
    id: "radars-point",
    type: "symbol",
    source: "radars",
    layout: {
      // A sign for the state beside its color.
      "text-field": ["concat", ["match", ["get", "state"], "fresh", "▲ ", "late", "! ", "silent", "✕ ", "△ "], ["get", "radar"]],
      "text-font": ["sans-serif"],
      "text-size": 12,
      "text-allow-overlap": true,
    },
    paint: {
      ...text,
      "text-color": [
        "match",
        ["get", "state"],
        "fresh",
        dark ? "#43c79e" : "#00694d",
        "late",
        dark ? "#f0b44c" : "#8a5200",
        "silent",
        dark ? "#ff9468" : "#b23600",
        dark ? "#dde3e9" : "#2c333a",
      ],
    },
  });
}

export function showOverlay(map: MapLibre, name: Overlay, visible: boolean): void {
  for (const layer of map.getStyle().layers)
    if ("source" in layer && layer.source === name)
      map.setLayoutProperty(layer.id, "visibility", visible ? "visible" : "none");
}

export function fillOverlay(map: MapLibre, name: Overlay, data: GeoJSON.FeatureCollection): void {
  map.getSource<GeoJSONSource>(name)?.setData(data);
}

/** Layers of overlays that tell more when clicked. */
export const CLICKABLE = ["hail-fill", "radars-point", "places-point", "places-fill"];
