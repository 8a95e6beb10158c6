// A lineage as a drawing in layers: what a file was made from to its left, what was made from it to its right.
import type { LineageNode } from "../api/types";
import { fileName, visible } from "../names";
import { address, pathOf } from "../route";

export interface Box {
  readonly key: string;
  readonly kind: "file" | "run" | "more";
  readonly title: string;
  readonly about: string;
  readonly href: string;
  readonly column: number;
  readonly row: number;
}

export interface Drawing {
  readonly boxes: readonly Box[];
  /** Keys of boxes: from what was read to what was made. */
  readonly lines: readonly (readonly [string, string])[];
  readonly columns: number;
  readonly rows: number;
}

/** More products of a run that nobody read are one box. */
const MOST_ALIKE = 4;

export type Run = Readonly<Record<string, unknown>> & { readonly id: string };
export const runOf = (node: LineageNode): Run | undefined => (node.run ?? undefined) as Run | undefined;
export const text = (value: unknown): string => visible(String(value ?? ""));

export function draw(file: LineageNode, made: readonly LineageNode[]): Drawing {
  const boxes = new Map<string, Box>();
  const lines = new Map<string, readonly [string, string]>();
  const free = new Map<number, number>();
  const put = (box: Omit<Box, "row">, beside: number): number => {
    const known = boxes.get(box.key);
    if (known) return known.row;
    const row = Math.max(free.get(box.column) ?? 0, beside);
    free.set(box.column, row + 1);
    boxes.set(box.key, { ...box, row });
    return row;
  };
  const join = (from: string, to: string) => lines.set(`${from}\n${to}`, [from, to]);
  const up = (node: LineageNode, column: number, beside: number) => {
    const row = put(fileBox(node, column, runOf(node)?.id), beside);
    const run = runOf(node);
    if (!run) return;
    const at = put(runBox(run, column - 1), row);
    join(runKey(run), fileKey(node));
    node.files.forEach((input, index) => {
      up(input, column - 2, at + index);
      join(fileKey(input), runKey(run));
    });
  };
  const down = (node: LineageNode, from: string, column: number, beside: number) => {
    const run = runOf(node);
    if (!run) return;
    const row = put(runBox(run, column), beside);
    join(from, runKey(run));
    const read = node.files.filter((product) => product.files.length > 0);
    const others = node.files.filter((product) => product.files.length === 0);
    const shown = others.length > MOST_ALIKE + 1 ? others.slice(0, MOST_ALIKE) : others;
    let next = row;
    for (const product of [...read, ...shown]) {
      next = put(fileBox(product, column + 1, run.id), next);
      join(runKey(run), fileKey(product));
      for (const reader of product.files) down(reader, fileKey(product), column + 2, next);
    }
    const left = others.length - shown.length;
    if (left > 0) {
      const key = `more ${run.id}`;
      const href = address(pathOf("runs", run.id), { tab: "products" });
      put({ key, kind: "more", title: `${left} more files`, about: "of the same run", href, column: column + 1 }, next);
      join(runKey(run), key);
    }
  };
  up(file, 0, 0);
  const start = boxes.get(fileKey(file))?.row ?? 0;
  made.forEach((reader) => down(reader, fileKey(file), 1, start));
  return shifted([...boxes.values()], [...lines.values()]);
}

function shifted(boxes: readonly Box[], lines: Drawing["lines"]): Drawing {
  const first = Math.min(...boxes.map((box) => box.column));
  const moved = boxes.map((box) => ({ ...box, column: box.column - first }));
  const size = (of: "column" | "row") => 1 + Math.max(...moved.map((box) => box[of]));
  return { boxes: moved, lines, columns: size("column"), rows: size("row") };
}

// A run may have published the same bytes twice, and two runs files of one name.
const fileKey = (node: LineageNode) => `file ${node.sha256} ${node.path}`;
const runKey = (run: Run) => `run ${run.id}`;

function fileBox(node: LineageNode, column: number, run: string | undefined): Omit<Box, "row"> {
  const of = node.facts["feed"] ?? node.facts["output"] ?? node.facts["port"];
  return {
    key: fileKey(node),
    kind: "file",
    title: fileName(node.path),
    about: [node.role, text(of), node.facts["there"] === false ? "gone" : ""].filter(Boolean).join(" · "),
    href: linkOf(node, run),
    column,
  };
}

/** Where a click on a file leads: to its run or its feed; nowhere for a file that a person named. */
export function linkOf(node: LineageNode, run: string | undefined): string {
  if (node.role === "product" && run) return address(pathOf("runs", run), { tab: "products" });
  return node.facts["feed"] ? pathOf("feeds", String(node.facts["feed"])) : "";
}

function runBox(run: Run, column: number): Omit<Box, "row"> {
  return {
    key: runKey(run),
    kind: "run",
    title: `${text(run["workflow"])} ${text(run["version"])}`,
    about: `run ${run.id} · ${text(run["state"])}`,
    href: pathOf("runs", run.id),
    column,
  };
}
