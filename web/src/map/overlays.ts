// Radars with their state and places with their alerts.
import { useMemo } from "preact/hooks";
import { type Page, useData } from "../api/data";
import type { PlaceItem, RadarItem } from "../api/types";

export interface Overlays {
  readonly radars: GeoJSON.FeatureCollection | undefined;
  readonly places: GeoJSON.FeatureCollection | undefined;
}

export function useOverlays(): Overlays {
  const radars = useData<Page<RadarItem>>("/v1/map/radars", ["problem"], 30_000).data;
  const places = useData<Page<PlaceItem>>("/v1/map/places", ["alert"], 60_000).data;
  return useMemo(
    () => ({
      radars: radars && collection(radars.items.map(radarFeature)),
      places: places && collection(places.items.map(placeFeature)),
    }),
    [radars, places],
  );
}

const collection = (features: GeoJSON.Feature[]): GeoJSON.FeatureCollection => ({ type: "FeatureCollection", features });

function radarFeature(radar: RadarItem): GeoJSON.Feature {
  const { latitude, longitude, ...facts } = radar;
  return { type: "Feature", properties: facts, geometry: { type: "Point", coordinates: [longitude, latitude] } };
}

function placeFeature(place: PlaceItem): GeoJSON.Feature {
  const { geometry, alerts, name, locality, distance_km, level_dbz, hail_mm } = place;
  return {
    type: "Feature",
    // The map hands properties back as text or numbers.
    properties: {
      name,
      locality,
      distance_km,
      level_dbz,
      hail_mm,
      state: alerts.length > 0 ? "alerted" : "calm",
      storm_since: alerts.find((one) => one.hazard === "storm")?.since ?? "",
      storm_dbz: alerts.find((one) => one.hazard === "storm")?.strongest ?? "",
      hail_since: alerts.find((one) => one.hazard === "hail")?.since ?? "",
      hail_now_mm: alerts.find((one) => one.hazard === "hail")?.strongest ?? "",
    },
    geometry: geometry as unknown as GeoJSON.Geometry,
  };
}
