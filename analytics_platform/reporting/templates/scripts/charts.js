// Charts with axes (ECharts): the trend of a KPI, and bars over time, over bins and over the steps of a bridge.
// Bars and areas start at zero, lines are not smoothed, every figure is in a table as well.

const drawn = new Map();

function draw(container, label, option) {
  container.setAttribute("role", "img");
  container.setAttribute("aria-label", label);
  if (!drawn.has(container)) drawn.set(container, echarts.init(container, null, { renderer: "svg" }));
  const chart = drawn.get(container);
  chart.setOption({ animation: false, aria: { enabled: false }, ...option }, { notMerge: true });
  chart.resize();
  chart.getZr().flush();  // at once: paper does not wait for the next frame
}

function forgetCharts() {
  for (const chart of drawn.values()) chart.dispose();
  drawn.clear();
}

// In place of a chart: why there is none.
function emptyState(container) {
  if (drawn.has(container)) drawn.get(container).dispose();
  drawn.delete(container);
  container.removeAttribute("role");
  container.removeAttribute("aria-label");
  container.replaceChildren(element("p", { class: "empty" }, say("no_data")));
}

// ---- scales and styles -------------------------------------------------------------------------------------------------

const STEPS = { minutes: [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 4320, 7200, 14400, 28800] };

function scaleFor(of, values, fromZero) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (fromZero) { low = Math.min(0, low); high = Math.max(0, high); }
  if (low === high) { const room = Math.abs(low) * 0.1 || 1; high += room; if (!fromZero || low < 0) low -= room; }
  const step = roundStep(of, (high - low) / 3.5);
  let min = Math.floor(low / step + 1e-9) * step;
  let max = Math.ceil(high / step - 1e-9) * step;
  if (of.unit === "percent") max = Math.min(max, Math.max(100, high));
  if (of.unit !== "score" && low >= 0) min = Math.max(0, min);
  return { min, max, interval: step };
}

function roundStep(of, rough) {
  const listed = (STEPS[of.unit] || []).find((step) => step >= rough);
  if (listed) return listed;
  const power = 10 ** Math.floor(Math.log10(rough));
  const whole = of.unit === "count" ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  const step = whole.find((factor) => factor * power >= rough) * power;
  return of.unit === "count" ? Math.max(1, step) : step;
}

const onPaper = () => document.documentElement.classList.contains("printing");
const axisText = (size = 12) => ({ color: css("--muted"), fontSize: onPaper() ? size * 0.8 : size, fontFamily: css("--sans") });
const categoryAxis = (names, isLine) => ({
  type: "category", data: names, boundaryGap: !isLine, axisTick: { show: false },
  axisLine: { lineStyle: { color: css("--line") } },
  axisLabel: { ...axisText(), hideOverlap: true, alignMinLabel: isLine ? "left" : null, alignMaxLabel: isLine ? "right" : null },
});
const valueAxis = (of, values, fromZero) => ({
  type: "value", ...scaleFor(of, values, fromZero),
  axisLabel: { ...axisText(), formatter: (value) => show(of, value, true) }, splitLine: { lineStyle: { color: css("--grid") } },
});
const chartBase = (tooltip) => ({
  grid: { left: 4, right: 14, top: 14, bottom: 6, containLabel: true },
  tooltip: {
    trigger: "axis", confine: true, backgroundColor: css("--card"), borderColor: css("--line"), borderWidth: 1, padding: [8, 12],
    extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / .14); border-radius: 6px;",
    axisPointer: { type: "line", lineStyle: { color: css("--before"), width: 1, type: "solid" } },
    formatter: (points) => tooltip(points[0].dataIndex),
  },
});

function tip(heading, lines) {
  return element("div", { class: "tip" }, element("b", {}, heading),
    ...lines.map(([text, aside, kind]) => element("div", { class: kind }, text, aside ? " " : "", aside ? element("i", {}, aside) : "")));
}

// ---- trend -------------------------------------------------------------------------------------------------------------

// `trend` has kpi, span (of the period), now, before (null where there is none), target, unusual ({index, text}).
function drawTrend(container, trend, label) {
  const { kpi, span, now, before, target, unusual } = trend;
  const values = [...now, ...(before || []), ...(target === null ? [] : [target])].filter((value) => value !== null);
  const isLine = kpi.shape === "line";
  draw(container, label, {
    ...chartBase((index) => trendTip(trend, index)),
    xAxis: categoryAxis(span.until.map((day) => dateText(day, "short")), isLine),
    yAxis: valueAxis(kpi, values, !isLine),
    series: [
      ...(before ? [beforeSeries(isLine, before, container.clientWidth)] : []),
      { ...(isLine ? lineSeries(now) : barSeries(now)), markLine: targetLine(target) },
      unusualSeries(now, unusual),
    ],
  });
}

// Beside a line the period before is a thinner line; on bars it is a tick across each.
function beforeSeries(isLine, values, width) {
  const shared = { type: "line", data: values, smooth: false, silent: true };
  if (isLine) return { ...shared, symbol: "none", z: 1, lineStyle: { color: css("--before"), width: 1.25 } };
  return { ...shared, symbol: "rect", symbolSize: [(0.55 * width) / values.length, 2.5], showAllSymbol: true, z: 4, lineStyle: { width: 0 }, itemStyle: { color: css("--tick") } };
}

const barSeries = (values) => ({ type: "bar", data: values, barCategoryGap: "32%", itemStyle: { color: css("--bar") }, z: 0 });

function lineSeries(values) {
  const last = values.reduce((found, value, index) => (value === null ? found : index), -1);
  const alone = (index) => (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
  const size = (_, point) => (point.dataIndex === last ? 8 : values.length <= 13 || alone(point.dataIndex) ? 4.5 : 0);
  return { type: "line", data: values, smooth: false, connectNulls: false, symbol: "circle", symbolSize: size, showAllSymbol: true, z: 3, lineStyle: { color: css("--bar"), width: 2.25 }, itemStyle: { color: css("--bar") } };
}

// A diamond, so that what is unusual is told from the rest by shape too.
function unusualSeries(now, unusual) {
  const marked = new Set(unusual.map(({ index }) => index));
  return {
    type: "line", data: now.map((value, index) => (marked.has(index) ? value ?? 0 : null)), silent: true, z: 6, symbol: "diamond",
    symbolSize: 13, showAllSymbol: true, lineStyle: { width: 0 }, itemStyle: { color: css("--unusual"), borderColor: css("--card"), borderWidth: 1.5 },
  };
}

const targetLine = (target) => (target === null ? undefined : {
  silent: true, symbol: "none", data: [{ yAxis: target }], lineStyle: { color: css("--target"), type: "dashed", width: 1.25 }, label: { show: false },
});

function trendTip({ kpi, span, now, before, target, unusual }, index) {
  const lines = [[show(kpi, now[index])]];
  if (before && before[index] !== null) lines.push([show(kpi, before[index]), say("before")]);
  if (target !== null) lines.push([show(kpi, target), say("target")]);
  for (const one of unusual.filter((each) => each.index === index).slice(0, 4)) lines.push([one.text, "", "unusual"]);
  return tip(bucketName(span, index), lines);
}

// ---- bars over time and bins ---------------------------------------------------------------------------------------------

// A series keeps its tone wherever it is drawn; what is worse is told from what is better, also by its place in the stack.
const TONES = {
  detractors: 6, idle: 5, maintenance: 2, not_due: 1, on_rent: 1, overdue_1_30: 3, overdue_31_60: 2, overdue_61_90: 6, overdue_over_90: 4,
  passives: 5, promoters: 1,
};
const toneOf = ({ measure }, index) => own(TONES, measure) ?? (index % 8) + 1;

// Names of steps or values stand upright only where each has the room.
function namedAxis(names, width) {
  const room = width / (names.length + 1);
  const longest = Math.max(...names.map((name) => name.length));
  return { ...categoryAxis(names, false), axisLabel: { ...axisText(11), interval: 0, rotate: longest * 6 > room ? 38 : 0 } };
}

// `series` are {name, values}; stacked in their order, the first at the bottom.
function drawStack(container, of, names, series, label, isNamed) {
  const tops = names.map((_, index) => series.reduce((total, { values }) => total + Math.max(0, values[index] ?? 0), 0));
  const bottoms = names.map((_, index) => series.reduce((total, { values }) => total + Math.min(0, values[index] ?? 0), 0));
  draw(container, label, {
    ...chartBase((index) => tip(names[index], [...series].reverse().map(({ name, values }) => [show(of, values[index]), name]))),
    xAxis: isNamed ? namedAxis(names, container.clientWidth) : categoryAxis(names, false),
    yAxis: valueAxis(of, [...tops, ...bottoms], true),
    series: series.map((each, index) => ({
      type: "bar", stack: "all", data: each.values, barCategoryGap: "28%",
      itemStyle: { color: css(`--s${toneOf(each, index)}`), borderColor: css("--card"), borderWidth: 0.75 },
    })),
  });
}

function drawHistogram(container, of, bins, label) {
  const values = bins.map(({ value }) => value ?? 0);
  const total = values.reduce((all, value) => all + value, 0);
  const said = (index) => [[show(of, values[index])], ...(total ? [[percent(values[index] / total), say("share").toLowerCase()]] : [])];
  draw(container, label, {
    ...chartBase((index) => tip(bins[index].name, said(index))),
    xAxis: namedAxis(bins.map(({ name }) => name), container.clientWidth),
    yAxis: valueAxis(of, values, true),
    series: [{ type: "bar", data: values, barCategoryGap: "8%", itemStyle: { color: css("--bar") } }],
  });
}

// ---- bridge ------------------------------------------------------------------------------------------------------------

// From the opening over the movements to the closing. Opening and closing are levels, drawn as marks and not as bars, so
// that the axis need not start at zero: the length of each bar is its movement.
function bridgeSteps(values) {
  let level = values[0];
  return values.map((value, index) => {
    if (index === 0 || index === values.length - 1) return { value, from: value, to: value, isEnd: true };
    const from = level;
    level += value;
    return { value, from, to: level, isEnd: false };
  });
}

function drawBridge(container, of, names, values, label) {
  const steps = bridgeSteps(values);
  const levels = steps.flatMap(({ from, to }) => [from, to]);
  const signed = ({ isEnd, value }) => `${!isEnd && value > 0 ? "+" : ""}${show(of, value, true)}`;
  const room = container.clientWidth / (names.length + 1);
  const ends = steps.map(({ isEnd, to }) => (isEnd ? to : null));
  const shared = { type: "bar", stack: "all", barCategoryGap: "26%", silent: true };
  const size = ({ from, to }) => ({ value: Math.abs(to - from), itemStyle: { color: to < from ? css("--fall") : css("--rise") } });
  const text = { show: true, position: "top", ...axisText(room < 50 ? 9 : 11), color: css("--ink"), formatter: ({ dataIndex }) => signed(steps[dataIndex]) };
  draw(container, label, {
    ...chartBase((index) => tip(names[index], [[show(of, values[index])]])),
    grid: { left: 4, right: 14, top: 26, bottom: 6, containLabel: true },
    xAxis: namedAxis(names, container.clientWidth),
    yAxis: { ...valueAxis(of, levels, false), scale: true },
    series: [
      { ...shared, data: steps.map(({ from, to, isEnd }) => (isEnd ? 0 : Math.min(from, to))), itemStyle: { color: "transparent" } },
      { ...shared, data: steps.map(size), label: { ...text, formatter: ({ dataIndex }) => (steps[dataIndex].isEnd ? "" : signed(steps[dataIndex])) } },
      { type: "line", data: ends, silent: true, symbol: "rect", symbolSize: [room * 0.72, 5], showAllSymbol: true, lineStyle: { width: 0 }, itemStyle: { color: css("--bar") }, label: text },
    ],
  });
}
