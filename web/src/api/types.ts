// Names for what the API answers, from its OpenAPI document.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type AlertItem = Schemas["AlertItem"];
export type ArrivalItem = Schemas["ArrivalItem"];
export type AssetDetail = Schemas["AssetDetail"];
export type AssetItem = Schemas["AssetItem"];
export type CheckItem = Schemas["CheckItem"];
export type DecisionItem = Schemas["DecisionItem"];
export type FeedItem = Schemas["FeedItem"];
export type FeedRadar = Schemas["FeedRadar"];
export type JobShown = Schemas["JobShown"];
export type LoadShown = Schemas["LoadShown"];
export type LogFile = Schemas["LogFile"];
export type MakingItem = Schemas["MakingItem"];
export type PlaceItem = Schemas["PlaceItem"];
export type ProblemItem = Schemas["ProblemItem"];
export type ProductItem = Schemas["ProductItem"];
export type RunDetail = Schemas["RunDetail"];
export type RunItem = Schemas["RunItem"];
export type StatusShown = Schemas["StatusShown"];
export type TimelineShown = Schemas["Timeline"];
export type CostsShown = Schemas["CostsShown"];
