// Numbers as people read them.

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rest = value;
  let unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 99.5 ? Math.round(rest) : rest.toPrecision(2)} ${units[unit]}`;
}

export function count(value: number | null | undefined, word: string, plural = `${word}s`): string {
  return `${(value ?? 0).toLocaleString("en-US")} ${value === 1 ? word : plural}`;
}

export function decimal(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined ? "" : value.toFixed(digits);
}
