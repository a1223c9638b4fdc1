// The views of a dashboard: bridge, stack, heatmap, funnel, histogram and bars; each with title, explanation, and table.

const BUILT = { bridge: "chart", stack: "chart", histogram: "chart", heatmap: "heat", funnel: "steps", bars: "steps" };

function buildView(view) {
  const text = viewText(view);
  const made = element("article", { class: `panel view of-${view.kind}`, id: `view-${view.name}`, "data-view": view.name, "aria-labelledby": `view-title-${view.name}` },
    element("header", {}, element("h3", { id: `view-title-${view.name}` }, text.title), element("p", { class: "span", "data-slot": "span" })),
    element("p", { class: "explained" }, text.description),
    element("p", { class: "unsplit", "data-slot": "unsplit" }),
    element("p", { class: "legend", "data-slot": "legend", "aria-hidden": "true" }),
    element("div", { class: BUILT[view.kind], "data-slot": "drawn" }));
  if (view.kind !== "heatmap") made.append(tablesBehind(`tables-view-${view.name}`));
  return made;
}

function fillView(page, view, state) {
  const panel = document.querySelector(`[data-view="${view.name}"]`);
  const span = view.periods[state.period];
  slot(panel, "span").textContent = view.snapshot ? say("snapshot_period", { last: dateText(span.last) }) : spanText(span.first, span.last);
  slot(panel, "unsplit").textContent = unsplitText(view, state.chosen);
  slot(panel, "legend").replaceChildren();
  const parts = { page, view, span, chosen: state.chosen, panel, drawn: slot(panel, "drawn"), title: viewText(view).title, until: untilOf(page, view, state.period) };
  FILLED[view.kind](parts);
}

// The ends of a view's buckets are those of the KPI that it belongs to, where it does not say them itself.
function untilOf(page, view, period) {
  const kpi = page.kpis.find(({ name }) => name === view.kpi) || page.kpis[0];
  return view.periods[period].until || kpi.periods[period].until;
}

const captionOf = ({ title, span }) => say("view_table", { title, first: dateText(span.first), last: dateText(span.last) });
const chartLabel = (parts) => say("view_chart", { title: parts.title });
const tablesOf = (parts, make) => renderTables(slot(parts.panel, "tables"), make);

function withData(parts, values, fillIt) {
  if (values.some((value) => value !== null && value !== 0)) return fillIt();
  emptyState(parts.drawn);
  return parts.view.kind === "heatmap" ? undefined : tablesOf(parts, () => [element("p", {}, say("no_data"))]);
}

// ---- bridge ----------------------------------------------------------------------------------------------------------------------

function fillBridge(parts) {
  const { view, span, chosen, page } = parts;
  const cells = cellsLeft(view, chosen, page.dimensions);
  const values = view.measures.map((measure) => totalOf(view, measure, cells, span.slots));
  const names = view.measures.map(measureName);
  withData(parts, values, () => {
    drawBridge(parts.drawn, view, names, values.map((value) => value ?? 0), chartLabel(parts));
    const opening = values[0];
    const rows = values.map((value, index) => [names[index], [show(view, value)], [opening ? percent(value / opening) : NONE]]);
    tablesOf(parts, () => [table(captionOf(parts), [say("step"), say("value"), say("of_opening")], rows)]);
  });
}

// ---- stack -----------------------------------------------------------------------------------------------------------------------

function fillStack(parts) {
  const { view, span, chosen, page } = parts;
  const [from, to] = span.slots.buckets;
  const series = segmentsOf(view, chosen, page.dimensions).map(({ name, measure, cells }) => ({
    name, values: Array.from({ length: to - from }, (_, index) => sum(view.cube, measure, cells, from + index, from + index + 1)),
  }));
  withData(parts, series.flatMap(({ values }) => values), () => {
    const names = parts.until.map((day) => dateText(day, "short"));
    drawStack(parts.drawn, view, names, series, chartLabel(parts));
    slot(parts.panel, "legend").append(...series.map(({ name }, index) => element("span", { class: `is-series s${(index % 8) + 1}` }, name)));
    const rows = parts.until.map((day, index) => [dateText(day), ...series.map(({ values }) => [show(view, values[index])])]).reverse();
    tablesOf(parts, () => [table(captionOf(parts), [say("until"), ...series.map(({ name }) => name)], rows)]);
  });
}

// ---- histogram ---------------------------------------------------------------------------------------------------------------------

function fillHistogram(parts) {
  const { view, span, chosen, page } = parts;
  const bins = segmentsOf(view, chosen, page.dimensions).map(({ name, measure, cells }) => ({ name, value: totalOf(view, measure, cells, span.slots) }));
  withData(parts, bins.map(({ value }) => value), () => {
    drawHistogram(parts.drawn, view, bins, chartLabel(parts));
    tablesOf(parts, () => [table(captionOf(parts), [axisTitle(view), measureTitle(view, 0), say("share")], sharesOf(view, bins))]);
  });
}

function sharesOf(view, rows) {
  const total = rows.reduce((all, { value }) => all + (value ?? 0), 0);
  return rows.map(({ name, value }) => [name, [show(view, value)], [total ? percent((value ?? 0) / total) : NONE]]);
}
const axisTitle = (view) => (view.axes.length ? capital(dimensionName(view.axes[0].column)) : say("step"));
const measureTitle = (view, index) => capital(measureName(view.measures[index]));

// ---- funnel and bars ----------------------------------------------------------------------------------------------------------------

// A funnel of each value of the first axis where there are two (flows of several steps), else one.
function fillFunnel(parts) {
  const { view, chosen, page } = parts;
  const funnels = view.axes.length > 1
    ? segmentsOf(view, chosen, page.dimensions).map(({ name, cells }) => ({ name, steps: stepsOf(parts, 1, cells) }))
    : [{ name: "", steps: stepsOf(parts, 0, cellsLeft(view, chosen, page.dimensions)) }];
  const filled = funnels.filter(({ steps }) => steps.some(({ value }) => value));
  withData(parts, filled.flatMap(({ steps }) => steps.map(({ value }) => value)), () => {
    parts.drawn.replaceChildren(...filled.flatMap(({ name, steps }) => [
      name ? element("h4", {}, name) : "", bars(funnelRows(view, steps), name ? `${parts.title}: ${name}` : chartLabel(parts)),
    ]));
    tablesOf(parts, () => filled.map(({ name, steps }) => funnelTable(parts, name, steps)));
  });
}

// The steps that there are: a flow need not have all that another one has.
function stepsOf({ view, span }, at, cells) {
  const axis = view.axes[at];
  const codes = view.cube.codes[view.cube.dims.length - view.axes.length + at];
  return axis.values.map((_, code) => ({ code, own: cells.filter((cell) => codes[cell] === code) }))
    .filter(({ own: cellsOfStep }) => cellsOfStep.length)
    .map(({ code, own: cellsOfStep }) => ({ name: valueName(axis.column, axis, code), value: totalOf(view, view.measures[0], cellsOfStep, span.slots) }));
}

const shareOfStep = (steps, index, base) => (steps[base]?.value ? percent((steps[index].value ?? 0) / steps[base].value) : NONE);

const funnelRows = (view, steps) => steps.map(({ name, value }, index) => ({
  name, value: value ?? 0, text: show(view, value), note: index ? say("of_step", { share: shareOfStep(steps, index, index - 1) }) : "",
}));

function funnelTable(parts, name, steps) {
  const rows = steps.map((step, index) => [
    step.name, [show(parts.view, step.value)], [index ? shareOfStep(steps, index, index - 1) : NONE], [index ? shareOfStep(steps, index, 0) : NONE],
  ]);
  const caption = name ? `${name}: ${captionOf(parts)}` : captionOf(parts);
  return table(caption, [say("step"), measureTitle(parts.view, 0), say("of_previous"), say("of_first")], rows);
}

function fillBars(parts) {
  const { view, span, chosen, page } = parts;
  const segments = segmentsOf(view, chosen, page.dimensions);
  if (view.axes.length > 1 || (view.axes.length && view.measures.length > 1)) return fillGroupedBars(parts, segments);
  const rows = segments.map(({ name, measure, cells }) => ({ name, value: totalOf(view, measure, cells, span.slots) }))
    .filter(({ value }) => value).sort((one, other) => other.value - one.value);
  return withData(parts, rows.map(({ value }) => value), () => {
    parts.drawn.replaceChildren(bars(rows.slice(0, GROUPS_SHOWN * 2).map(({ name, value }) => ({ name, value, text: show(view, value) })), chartLabel(parts)));
    tablesOf(parts, () => [table(captionOf(parts), [axisTitle(view), measureTitle(view, 0), say("share")], sharesOf(view, rows))]);
  });
}

const GROUPS_SHOWN = 6;  // the table has all

// Side by side for each value of the first axis: those of the second (attribution models), or the measures.
function fillGroupedBars(parts, segments) {
  const { view, span } = parts;
  const series = seriesOfView(view);
  const rows = segments.map(({ name, cells }) => ({ name, values: series.map(({ measure, keeps }) => totalOf(view, measure, cells.filter(keeps), span.slots)) }))
    .filter(({ values }) => values.some((value) => value)).sort((one, other) => (other.values[0] ?? 0) - (one.values[0] ?? 0));
  withData(parts, rows.flatMap(({ values }) => values), () => {
    const most = Math.max(...rows.flatMap(({ values }) => values.map((value) => value ?? 0)));
    const groups = rows.slice(0, GROUPS_SHOWN).map((row) => groupOf(view, series, row, most));
    parts.drawn.replaceChildren(element("ol", { class: "groups", "aria-label": chartLabel(parts) }, ...groups));
    slot(parts.panel, "legend").append(...series.map(({ name }, index) => element("span", { class: `is-series s${index + 1}` }, name)));
    const cells = rows.map(({ name, values }) => [name, ...values.map((value) => [show(view, value)])]);
    tablesOf(parts, () => [table(captionOf(parts), [axisTitle(view), ...series.map(({ name }) => capital(name))], cells)]);
  });
}

function seriesOfView(view) {
  if (view.axes.length < 2) return view.measures.map((measure) => ({ name: measureName(measure), measure, keeps: () => true }));
  const axis = view.axes[1];
  const codes = view.cube.codes[view.cube.dims.length - 1];
  return axis.values.map((_, code) => ({ name: valueName(axis.column, axis, code), measure: view.measures[0], keeps: (cell) => codes[cell] === code }));
}

function groupOf(view, series, { name, values }, most) {
  const lines = values.map((value, index) => {
    const bar = element("span", { class: `fill s${index + 1}` });
    bar.style.width = `${((value ?? 0) / most) * 100}%`;
    return element("span", { class: "line" }, hidden(`${series[index].name}: `), element("span", { class: "track", "aria-hidden": "true" }, bar), element("span", { class: "number" }, show(view, value)));
  });
  return element("li", {}, element("span", { class: "name" }, name), element("span", { class: "lines" }, ...lines));
}

// ---- heatmap -----------------------------------------------------------------------------------------------------------------------

// A table whose cells are shaded: what is drawn and what is read are the same. Two measures are a ratio in percent.
function fillHeatmap(parts) {
  const { view, span, chosen, page } = parts;
  const [down, across] = view.axes;
  const at = view.cube.dims.length - 1;
  const byRow = cellsByCode(view, down.column, chosen, page.dimensions, null);
  const valueAt = (row, column) => heatValue(view, (byRow.get(row) || []).filter((cell) => view.cube.codes[at][cell] === column), span.slots);
  const grid = down.values.map((_, row) => across.values.map((__, column) => valueAt(row, column)));
  withData(parts, grid.flat(), () => {
    const known = grid.flat().filter((value) => value !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const digits = high < 20 ? 1 : 0;
    const text = (value) => (value === null ? "" : heatUnit(view) === "percent" ? percent(value / 100, digits) : show(view, value, true));
    const heads = across.values.map((_, code) => valueName(across.column, across, code));
    const rows = grid.map((values, row) => [axisLabel(down, row), ...values.map((value) => [text(value), heatClass(value, low, high)])])
      .filter((_, row) => grid[row].some((value) => value !== null));
    parts.drawn.replaceChildren(table(captionOf(parts), [capital(dimensionName(down.column)), ...heads], rows));
  });
}

const heatUnit = (view) => (view.measures.length > 1 ? "percent" : view.unit);

function heatValue(view, cells, slots) {
  const [above, below] = view.measures.map((measure) => totalOf(view, measure, cells, slots));
  if (view.measures.length < 2) return above;
  return below ? ((above ?? 0) / below) * 100 : null;
}

const SHADES = 7;
const heatClass = (value, low, high) => (value === null ? "none" : `heat h${high > low ? Math.min(SHADES - 1, Math.floor(((value - low) / (high - low)) * SHADES)) : SHADES - 1}`);

// Months are written as months.
function axisLabel(axis, code) {
  const label = valueName(axis.column, axis, code);
  if (!/^\d{4}-\d{2}(-01)?$/.test(label)) return label;
  return new Intl.DateTimeFormat(reader.locale, { month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${label.slice(0, 7)}-01T00:00:00Z`));
}

const FILLED = { bridge: fillBridge, stack: fillStack, heatmap: fillHeatmap, funnel: fillFunnel, histogram: fillHistogram, bars: fillBars };
