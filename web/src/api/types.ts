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
export type CostItem = Schemas["CostItem"];
export type FleetEvents = Schemas["Events"];
export type FleetStatus = Schemas["FleetStatus"];
export type Fleets = Schemas["Fleets"];
export type GroupStatus = Schemas["GroupStatus"];
export type WorkerStatus = Schemas["WorkerStatus"];
export type Frames = Schemas["Frames"];
export type HailFrame = Schemas["HailFrame"];
export type HailShown = Schemas["HailShown"];
export type NowcastFrame = Schemas["NowcastFrame"];
export type NowcastShown = Schemas["NowcastShown"];
export type RadarItem = Schemas["RadarItem"];
