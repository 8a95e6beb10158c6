// Names for what the API answers, from its OpenAPI document.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type RunItem = Schemas["RunItem"];
export type RunDetail = Schemas["RunDetail"];
export type JobShown = Schemas["JobShown"];
export type LogFile = Schemas["LogFile"];
export type ProductItem = Schemas["ProductItem"];
export type DecisionItem = Schemas["DecisionItem"];

export interface Daemon {
  name: string;
  alive: boolean;
  since: string | null;
  seen_at: string | null;
  host: string | null;
}

export interface Status {
  now: string;
  version: string;
  store: string;
  daemons: Daemon[];
  problems: number;
  runs: Record<string, number>;
  you: { name: string; roles: string[] };
}
