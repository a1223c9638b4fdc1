// The parts of Apache ECharts that the dashboards draw with, and no others: everything named here ends up in each file.
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, GridComponent, LineChart, MarkLineComponent, SVGRenderer, TooltipComponent]);

export { init };
