// Frames of the animation: what was, and the leads of the newest nowcast.
export interface Frame {
  /** Unique: the run and its lead. */
  readonly key: string;
  readonly validAt: string;
  /** Minutes after the data; null for what was observed. */
  readonly leadMin: number | null;
  readonly run: string;
  readonly product: number | null;
  readonly contours: GeoJSON.FeatureCollection;
}
