// The screens, in the order of the menu. One that is not whole is not here.
import type { Screen } from "../app";

export const screens: readonly Screen[] = [];
