// The screens, in the order of the menu. One that is not whole is not here.
import type { Screen } from "../app";
import { AccountScreen } from "./account";
import { AssetsScreen } from "./assets";
import { AuditScreen } from "./audit";
import { DecisionsScreen } from "./decisions";
import { FeedsScreen } from "./feeds";
import { FleetsScreen } from "./fleets";
import { MapScreen } from "./map";
import { NowScreen } from "./now";
import { RunsScreen } from "./runs";
import { TimelineScreen } from "./timeline";
import { UsersScreen } from "./users";

export const screens: readonly Screen[] = [
  { name: "Now", path: "now", key: "n", show: NowScreen },
  { name: "Map", path: "map", key: "m", show: MapScreen },
  { name: "Timeline", path: "timeline", key: "l", show: TimelineScreen },
  { name: "Runs", path: "runs", key: "r", show: RunsScreen },
  { name: "Assets", path: "assets", key: "a", show: AssetsScreen },
  { name: "Feeds", path: "feeds", key: "f", show: FeedsScreen },
  { name: "Decisions", path: "decisions", key: "d", show: DecisionsScreen },
  { name: "Fleets", path: "fleets", key: "w", show: FleetsScreen },
  { name: "Users", path: "users", key: "u", show: UsersScreen, needs: "manage" },
  { name: "Audit", path: "audit", key: "h", show: AuditScreen, needs: "manage" },
  // The menu of the person leads there.
  { name: "Account", path: "account", key: "", show: AccountScreen },
];
