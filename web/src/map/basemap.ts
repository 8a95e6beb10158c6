// The map below the weather: land, borders, counties and cities, from files of this page's own server.
import type { StyleSpecification } from "maplibre-gl";
import cities from "../../build/basemap/cities.geojson";
import counties from "../../build/basemap/counties.geojson";
import countries from "../../build/basemap/countries.geojson";
import land from "../../build/basemap/land.geojson";
import states from "../../build/basemap/states.geojson";

const COLORS = {
  light: { water: "#dbe6ee", land: "#f7f7f4", border: "#6b7680", county: "#c4cad0", text: "#2c333a", halo: "#ffffff" },
  dark: { water: "#0d1319", land: "#1b2229", border: "#8593a0", county: "#38434e", text: "#dde3e9", halo: "#11151a" },
} as const;

/** Layers of the weather go below this one, so that names stay readable. */
export const BELOW_NAMES = "cities";

export function style(dark: boolean): StyleSpecification {
  const color = COLORS[dark ? "dark" : "light"];
  const source = (data: string) => ({ type: "geojson" as const, data: new URL(data, location.href).href });
  return {
    version: 8,
    sources: {
      land: source(land),
      countries: source(countries),
      states: source(states),
      counties: source(counties),
      cities: { ...source(cities), attribution: "Natural Earth, U.S. Census Bureau, GeoNames" },
    },
    layers: [
      { id: "water", type: "background", paint: { "background-color": color.water } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": color.land } },
      {
        id: "counties",
        type: "line",
        source: "counties",
        minzoom: 5.5,
        paint: { "line-color": color.county, "line-width": 0.7 },
      },
      { id: "states", type: "line", source: "states", paint: { "line-color": color.border, "line-width": 0.9 } },
      { id: "countries", type: "line", source: "countries", paint: { "line-color": color.border, "line-width": 1.1 } },
      {
        id: BELOW_NAMES,
        type: "symbol",
        source: "cities",
        // Large cities from far, small ones from near.
        filter: ["step", ["zoom"], [">=", ["get", "people"], 800_000], 5, [">=", ["get", "people"], 200_000], 7, true],
        layout: {
          "text-field": ["get", "name"],
          "text-font": ["sans-serif"],
          "text-size": ["interpolate", ["linear"], ["get", "people"], 15_000, 11, 1_000_000, 14],
          "symbol-sort-key": ["-", 0, ["get", "people"]],
        },
        paint: { "text-color": color.text, "text-halo-color": color.halo, "text-halo-width": 1.3 },
      },
    ],
  };
}
