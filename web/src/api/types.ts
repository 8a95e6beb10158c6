// What the API's answers hold, as far as screens use it; `schema.d.ts` is generated from the OpenAPI document.
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
