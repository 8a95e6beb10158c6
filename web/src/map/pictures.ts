// Reflectivity below the contours: all leads of a nowcast come as one picture, of which a canvas shows one tile.
import type { CanvasSource, Map as MapLibre } from "maplibre-gl";
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api/client";
import { BELOW_NAMES } from "./basemap";
import type { Frame } from "./frames";

/** Colors of reflectivity, as the server knows them. */
export const TABLES = ["nws", "cividis"] as const;
export type Table = (typeof TABLES)[number];

/** What the server says of a picture. */
interface Facts {
  readonly bounds: readonly [number, number, number, number];
  readonly leads_min: readonly number[];
  readonly columns: number;
  readonly width: number;
  readonly height: number;
  /** Where each color begins, dBZ. */
  readonly colors: readonly (readonly [number, string])[];
}

export interface Tile {
  readonly image: ImageBitmap;
  readonly left: number;
  readonly top: number;
  readonly facts: Facts;
}

type Tiles = ReadonlyMap<string, Tile>;
const NONE: Tiles = new Map();
/** By address; pictures of what was observed are small, and do not change. */
const known = new Map<string, Promise<Tiles>>();
const MOST_KEPT = 100;

/** The tiles of frames by their keys, as far as they are there. */
export function usePictures(frames: readonly Frame[], table: Table | ""): Tiles {
  const [tiles, setTiles] = useState(NONE);
  useEffect(() => {
    if (!table) {
      setTiles(NONE);
      return;
    }
    let wanted = true;
    void Promise.all(addresses(frames, table).map(([address, run]) => picture(address, run).catch(() => NONE))).then(
      (all) => wanted && setTiles(new Map(all.flatMap((one) => [...one]))),
    );
    return () => {
      wanted = false;
    };
  }, [frames, table]);
  return tiles;
}

/** One request for all leads of the nowcast, and one for each observation before it. */
function addresses(frames: readonly Frame[], table: Table): readonly (readonly [string, string])[] {
  const leads = new Map<string, number[]>();
  for (const { run, lead } of frames) if (lead !== null) leads.set(run, [...(leads.get(run) ?? []), lead]);
  return [...leads].map(([run, some]) => {
    const only = some.length === 1 ? `&lead=${some[0]}` : "";
    return [`/v1/map/grids/${encodeURIComponent(run)}.png?table=${table}${only}`, run] as const;
  });
}

function picture(address: string, run: string): Promise<Tiles> {
  const before = known.get(address);
  if (before) return before;
  const asked = load(address, run);
  known.set(address, asked);
  // Without pictures among the products the contours are all there is; a server that is down is asked again.
  asked.catch(() => known.delete(address));
  for (const oldest of [...known.keys()].slice(0, -MOST_KEPT)) known.delete(oldest);
  return asked;
}

async function load(address: string, run: string): Promise<Tiles> {
  const response = await ask(address);
  const facts = JSON.parse(response.headers.get("X-Picture") ?? "") as Facts;
  const image = await createImageBitmap(await response.blob());
  return new Map(
    facts.leads_min.map((lead, number) => {
      const left = (number % facts.columns) * facts.width;
      const top = Math.floor(number / facts.columns) * facts.height;
      return [`${run}-${lead}`, { image, left, top, facts }] as const;
    }),
  );
}

const NAME = "picture";

/** The layer: below all contours, which are added after it. */
export class PictureLayer {
  readonly #canvas = document.createElement("canvas");
  #shown: Tile | undefined;

  constructor(private readonly map: MapLibre) {
    this.#canvas.width = this.#canvas.height = 1;
    const corners = cornersOf([-1, -1, 1, 1]);
    map.addSource(NAME, { type: "canvas", canvas: this.#canvas, animate: false, coordinates: corners });
    map.addLayer(
      {
        id: NAME,
        type: "raster",
        source: NAME,
        paint: { "raster-fade-duration": 0, "raster-resampling": "nearest", "raster-opacity": 0 },
      },
      BELOW_NAMES,
    );
  }

  show(tile: Tile | undefined, opacity: number): void {
    this.map.setPaintProperty(NAME, "raster-opacity", tile ? opacity : 0);
    if (!tile || tile === this.#shown) return;
    const { width, height, bounds } = tile.facts;
    const source = this.map.getSource<CanvasSource>(NAME);
    if (this.#canvas.width !== width || this.#canvas.height !== height)
      Object.assign(this.#canvas, { width, height });
    const pen = this.#canvas.getContext("2d");
    pen?.clearRect(0, 0, width, height);
    pen?.drawImage(tile.image, tile.left, tile.top, width, height, 0, 0, width, height);
    if (String(bounds) !== String(this.#shown?.facts.bounds)) source?.setCoordinates(cornersOf(bounds));
    // Takes what the canvas holds now, once.
    source?.play();
    source?.pause();
    this.#shown = tile;
  }
}

type Corner = [number, number];

/** The corners, clockwise from the north-west; the middle is between -180 and 180 degrees, where the map expects it. */
function cornersOf([west, south, east, north]: Facts["bounds"]): [Corner, Corner, Corner, Corner] {
  const turn = -360 * Math.floor(((west + east) / 2 + 180) / 360);
  const [left, right] = [west + turn, east + turn];
  return [
    [left, north],
    [right, north],
    [right, south],
    [left, south],
  ];
}
