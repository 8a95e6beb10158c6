// The parts of the screen of runs.
import { useMay } from "../api/session";
import { address, useRoute } from "../route";

export function RunTabs() {
  const may = useMay("submit");
  const services = useRoute().query.get("show") === "services";
  return (
    <nav class="tabs" aria-label="Parts of runs">
      <a href="/runs" aria-current={services ? undefined : "page"}>
        Runs
      </a>
      <a href={address("/runs", { show: "services" })} aria-current={services ? "page" : undefined}>
        Services
      </a>
      {may && <a href="/runs/new">New run</a>}
    </nav>
  );
}
