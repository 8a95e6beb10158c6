// The parts of the screen of runs.
import { address, useRoute } from "../route";

export function RunTabs() {
  const services = useRoute().query.get("show") === "services";
  return (
    <nav class="tabs" aria-label="Parts of runs">
      <a href="/runs" aria-current={services ? undefined : "page"}>
        Runs
      </a>
      <a href={address("/runs", { show: "services" })} aria-current={services ? "page" : undefined}>
        Services
      </a>
      <a href="/runs/new">New run</a>
    </nav>
  );
}
