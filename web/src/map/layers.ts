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
/** Over a picture of the same, contours are lines; what has no opacity at all is not found by a click. */
const BARE_OPACITY = 0.01;
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
  #opacity = OPACITY;

  constructor(private readonly map: MapLibre) {}

  /** Take these frames, keeping those that are there already. */
  set(frames: readonly Frame[]): void {
    const wanted = new Set(frames.map((frame) => frame.key));
    for (const key of this.#keys.filter((known) => !wanted.has(known))) this.#remove(key);
    for (const frame of frames) if (!this.#keys.includes(frame.key)) this.#add(frame);
    this.#keys = frames.map((frame) => frame.key);
    this.show(this.#shown);
  }

  /** Show one frame, without the fill of its contours if a picture lies below them. */
  show(key: string, bare = this.#opacity === BARE_OPACITY): void {
    this.#opacity = bare ? BARE_OPACITY : OPACITY;
    for (const known of new Set([this.#shown, key])) {
      if (!this.map.getLayer(fillOf(known))) continue;
      this.map.setPaintProperty(fillOf(known), "fill-opacity", known === key ? this.#opacity : 0);
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

/** Largest size of hail, mm, and its color: darker is larger, and none is a color of the contours. */
export const HAIL_SIZES: readonly (readonly [number, string, string])[] = [
  [0, "#f6d5ee", "any"],
  [5, "#e79bd6", "5"],
  [25, "#c02fa8", "25"],
  [50, "#6a0f7a", "50"],
];
const hailSize: ExpressionSpecification = ["to-number", ["get", "size_mm"], 0];
const byHailSize = [
  "step",
  hailSize,
  HAIL_SIZES[0]?.[1],
  ...HAIL_SIZES.slice(1).flatMap(([size, shade]) => [size, shade]),
] as unknown as ExpressionSpecification;

export const OVERLAYS = ["hail", "radars", "places"] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** Add what lies over the frames, still without data. */
export function addOverlays(map: MapLibre, dark: boolean): void {
  const text = { "text-color": dark ? "#ffffff" : "#111111", "text-halo-color": dark ? "#000000" : "#ffffff", "text-halo-width": 1.5 };
  // The sign stands on the point, the name beside it: of radars on one side, of places on the other.
  const left = { "text-anchor": "right" as const, "text-offset": [0.5, 0] as [number, number], "text-max-width": 40 };
  const right = { "text-anchor": "left" as const, "text-offset": [-0.5, 0] as [number, number], "text-max-width": 40 };
  for (const name of OVERLAYS) map.addSource(name, { type: "geojson", data: NOTHING });
  map.addLayer({
    id: "hail-fill",
    type: "fill",
    source: "hail",
    layout: { "fill-sort-key": hailSize },
    paint: { "fill-color": byHailSize, "fill-opacity": 0.6 },
  });
  map.addLayer({
    id: "hail-line",
    type: "line",
    source: "hail",
    paint: { "line-color": dark ? "#ffffff" : "#000000", "line-width": 0.8, "line-opacity": 0.8 },
  });
  map.addLayer({
    id: "hail-size",
    type: "symbol",
    source: "hail",
    minzoom: 7,
    filter: [">", hailSize, 0],
    layout: {
      "text-field": ["concat", ["to-string", ["round", hailSize]], " mm"],
      "text-font": ["sans-serif"],
      "text-size": 12,
      "symbol-sort-key": ["-", 0, hailSize],
    },
    paint: text,
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
      "text-field": ["concat", ["match", ["get", "state"], "alerted", "⚠ ", "◆ "], ["get", "name"]],
      "text-font": ["sans-serif"],
      "text-size": ["match", ["get", "state"], "alerted", 14, 12],
      ...right,
      "text-allow-overlap": true,
    },
    paint: { ...text, "text-color": ["match", ["get", "state"], "alerted", dark ? "#f0b44c" : "#8a5200", text["text-color"]] },
  });
  map.addLayer({
    id: "radars-point",
    type: "symbol",
    source: "radars",
    layout: {
      // A sign for the state beside its color.
      "text-field": ["concat", ["get", "radar"], ["match", ["get", "state"], "fresh", " ▲", "late", " !", "silent", " ✕", " △"]],
      "text-font": ["sans-serif"],
      "text-size": 12,
      ...left,
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
