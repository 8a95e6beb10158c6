// Where a file comes from and what was made from it: drawn, and as a list with documents, versions and parameters.
import { useData } from "../api/data";
import type { LineageNode, LineageTree } from "../api/types";
import { fileName, visible } from "../names";
import { address, go, pathOf, useRoute } from "../route";
import { type Box, draw, linkOf, runOf, text } from "../ui/layers";
import { Card, Empty, Facts, Loading, Problem } from "../ui/parts";
import { AssetTabs } from "./asset-tabs";

const WIDTH = 222;
const HEIGHT = 44;
const [ACROSS, DOWN] = [WIDTH + 60, HEIGHT + 14];

export function Lineage() {
  const { query } = useRoute();
  const named = ["product", "arrival"].filter((name) => query.get(name));
  const path = named.length === 1 ? address("/v1/lineage", { [named[0] ?? ""]: query.get(named[0] ?? "") ?? "" }) : null;
  const { data, error } = useData<LineageTree>(path);
  return (
    <>
      <h1>Lineage</h1>
      <AssetTabs />
      {path === null && <Empty>Choose “lineage” beside a product of a run or a file of a feed.</Empty>}
      <Problem error={error} />
      {path !== null && !data && !error && <Loading what="the lineage" />}
      {data && (
        <>
          <p>
            <code>{visible(data.file.path)}</code>
          </p>
          <Graph tree={data} />
          <List tree={data} />
        </>
      )}
    </>
  );
}

function Graph({ tree }: { tree: LineageTree }) {
  const { boxes, lines, columns, rows } = draw(tree.file, tree.made);
  const place = new Map(boxes.map((box) => [box.key, box]));
  const asked = fileName(tree.file.path);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Lineage as a graph">
      <svg class="lineage" width={columns * ACROSS} height={rows * DOWN} role="group" aria-label={`Lineage of ${asked}`}>
        {lines.map(([from, to]) => {
          const [a, b] = [place.get(from), place.get(to)];
          if (!a || !b) return null;
          const [x1, y1] = [a.column * ACROSS + WIDTH, a.row * DOWN + HEIGHT / 2];
          const [x2, y2] = [b.column * ACROSS, b.row * DOWN + HEIGHT / 2];
          const half = (x1 + x2) / 2;
          return <path key={`${from} ${to}`} d={`M${x1} ${y1} C${half} ${y1} ${half} ${y2} ${x2} ${y2}`} />;
        })}
        {boxes.map((box) => (
          <Drawn key={box.key} box={box} asked={box.kind === "file" && box.title === asked} />
        ))}
      </svg>
    </div>
  );
}

function Drawn({ box, asked }: { box: Box; asked: boolean }) {
  const inside = (
    <>
      <title>{`${box.title}: ${box.about}`}</title>
      <rect width={WIDTH} height={HEIGHT} rx={6} />
      <text x={8} y={18}>
        {cut(box.title)}
      </text>
      <text x={8} y={35} class="soft">
        {cut(box.about)}
      </text>
    </>
  );
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(box.href);
  };
  return (
    <g
      class={`box ${box.kind}${asked ? " asked" : ""}`}
      transform={`translate(${box.column * ACROSS} ${box.row * DOWN})`}
    >
      {box.href ? (
        <a href={box.href} onClick={follow}>
          {inside}
        </a>
      ) : (
        inside
      )}
    </g>
  );
}

function cut(told: string): string {
  const most = 26;
  return told.length <= most ? told : `${told.slice(0, 15)}…${told.slice(-(most - 16))}`;
}

/** The same for those who read it: every fact, nothing left out. */
function List({ tree }: { tree: LineageTree }) {
  return (
    <div class="cards">
      <Card title="Made from">
        <ul class="tree">
          <Above node={tree.file} />
        </ul>
      </Card>
      <Card title="Made from it">
        {tree.made.length === 0 ? (
          <Empty>No run has read it.</Empty>
        ) : (
          <ul class="tree">
            {tree.made.map((node) => (
              <Below key={runOf(node)?.id} node={node} />
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}

function Above({ node }: { node: LineageNode }) {
  return (
    <li>
      <File node={node} run={runOf(node)?.id} />
      {node.run && <RunFacts node={node} />}
      {node.files.length > 0 && (
        <ul>
          {node.files.map((input) => (
            <Above key={`${input.sha256} ${input.path}`} node={input} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Below({ node }: { node: LineageNode }) {
  const run = runOf(node)?.id;
  return (
    <li>
      <RunFacts node={node} />
      {node.more > 0 && <p>{node.more} more runs</p>}
      <details open={node.files.length <= 6}>
        <summary>{node.files.length} files</summary>
        <ul>
          {node.files.map((product) => (
            <li key={product.path}>
              <File node={product} run={run} />
              {product.files.length > 0 && (
                <ul>
                  {product.files.map((reader) => (
                    <Below key={runOf(reader)?.id} node={reader} />
                  ))}
                </ul>
              )}
            </li>
          ))}
        </ul>
      </details>
    </li>
  );
}

function File({ node, run }: { node: LineageNode; run: string | undefined }) {
  const href = linkOf(node, run);
  const name = fileName(node.path);
  return (
    <span title={node.path}>
      {href ? <a href={href}>{name}</a> : name} <small class="empty">{node.role}</small>{" "}
      <code title="SHA-256">{node.sha256.slice(0, 12)}</code>
    </span>
  );
}

function RunFacts({ node }: { node: LineageNode }) {
  const run = runOf(node);
  if (!run) return null;
  const told = (value: unknown) =>
    Object.entries((value ?? {}) as Record<string, unknown>)
      .map(([name, one]) => `${name} ${typeof one === "string" ? one : JSON.stringify(one)}`)
      .join(", ");
  return (
    <Facts
      facts={[
        ["By run", <a key="r" href={pathOf("runs", run.id)}>{run.id}</a>],
        ["Workflow", `${text(run["workflow"])} ${text(run["version"])}`],
        ["Document", <code key="d">{text(run["document_sha256"]).slice(0, 12)}</code>],
        ["Software", text(run["software"])],
        ["Modules", visible(told(run["modules"]))],
        ["Parameters", visible(told(run["parameters"]))],
      ]}
    />
  );
}
