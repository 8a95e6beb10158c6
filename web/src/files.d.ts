// Files that the bundler turns into addresses.
declare module "*.geojson" {
  const address: string;
  export default address;
}
declare module "map-worker" {
  const address: string;
  export default address;
}
declare module "*.css";
declare module "maplibre-gl/dist/maplibre-gl-csp.js" {
  export * from "maplibre-gl";
  import maplibre from "maplibre-gl";
  export default maplibre;
}
