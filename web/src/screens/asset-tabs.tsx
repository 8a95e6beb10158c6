// The parts of the screen of assets.
import { address, useRoute } from "../route";

export function AssetTabs() {
  const shown = useRoute().query.get("show") ?? "";
  return (
    <nav class="tabs" aria-label="Parts of assets">
      <a href="/assets" aria-current={shown === "" ? "page" : undefined}>
        Assets
      </a>
      <a href={address("/assets", { show: "backfills" })} aria-current={shown === "backfills" ? "page" : undefined}>
        Backfills
      </a>
      <a href={address("/assets", { show: "lineage" })} aria-current={shown === "lineage" ? "page" : undefined}>
        Lineage
      </a>
    </nav>
  );
}
