// The screens, in the order of the menu. One that is not whole is not here.
import type { Screen } from "../app";
import { RunsScreen } from "./runs";

export const screens: readonly Screen[] = [{ name: "Runs", path: "runs", key: "r", show: RunsScreen }];
