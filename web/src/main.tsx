import { render } from "preact";
import "./style.css";
import { listen } from "./api/live";
import { App } from "./app";
import { applyTheme } from "./preferences";
import { followLinks } from "./route";

applyTheme();
followLinks();
const place = document.getElementById("app");
if (place) render(<App />, place);
void listen();
