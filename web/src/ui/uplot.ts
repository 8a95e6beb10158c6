// uPlot with its styles, as a part that only charts load.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export { uPlot };
