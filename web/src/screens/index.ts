// The screens, in the order of the menu. One that is not whole is not here.
import type { Screen } from "../app";
import { AssetsScreen } from "./assets";
import { DecisionsScreen } from "./decisions";
import { FeedsScreen } from "./feeds";
import { FleetsScreen } from "./fleets";
import { MapScreen } from "./map";
import { NowScreen } from "./now";
import { RunsScreen } from "./runs";
import { TimelineScreen } from "./timeline";

export const screens: readonly Screen[] = [
  { name: "Now", path: "now", key: "n", show: NowScreen },
  { name: "Map", path: "map", key: "m", show: MapScreen },
  { name: "Timeline", path: "timeline", key: "l", show: TimelineScreen },
  { name: "Runs", path: "runs", key: "r", show: RunsScreen },
  { name: "Assets", path: "assets", key: "a", show: AssetsScreen },
  { name: "Feeds", path: "feeds", key: "f", show: FeedsScreen },
  { name: "Decisions", path: "decisions", key: "d", show: DecisionsScreen },
  { name: "Fleets", path: "fleets", key: "w", show: FleetsScreen },
];
