// MapLibre with its worker and styles, as a part that only the map loads.
import maplibre from "maplibre-gl/dist/maplibre-gl-csp.js";
import "maplibre-gl/dist/maplibre-gl.css";
import worker from "map-worker";

maplibre.setWorkerUrl(new URL(worker, location.href).href);

export { maplibre };
