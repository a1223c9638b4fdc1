// The views of a dashboard: bridge, stack, heatmap, funnel, histogram and bars; each with title, explanation, and table.

const BUILT = { bridge: "chart", stack: "chart", histogram: "chart", heatmap: "heat", funnel: "steps", bars: "steps" };

function buildView(view, isWide) {
  const text = viewText(view);
  const made = element("article", { class: `panel view of-${view.kind}${isWide ? " wide" : ""}`, id: `view-${view.name}`, "data-view": view.name, "aria-labelledby": `view-title-${view.name}` },
    element("header", {}, element("h3", { id: `view-title-${view.name}` }, text.title), element("p", { class: "span", "data-slot": "span" })),
    element("p", { class: "explained" }, text.description),
    element("p", { class: "unsplit", "data-slot": "unsplit" }),
    ...buildChoice(view, text),
    element("p", { class: "legend", "data-slot": "legend", "aria-hidden": "true" }),
    element("div", { class: BUILT[view.kind], "data-slot": "drawn" }));
  if (view.kind !== "heatmap") made.append(tablesBehind(`tables-view-${view.name}`));
  return made;
}

// What is shown of a view that has more than fits: a share of a heatmap, a flow of a funnel, a measure of bars by two axes.
function choicesOf(view) {
  if (view.kind === "heatmap") return view.measures.filter((name) => name in WHOLES).map((name) => [name, measureName(name)]);
  if (view.axes.length < 2) return [];
  if (view.kind === "funnel") return view.axes[0].values.map((id, code) => [id ?? NOT_ASSIGNED, valueName(view.axes[0].column, view.axes[0], code)]);
  return [...view.measures].reverse().map((name) => [name, measureName(name)]);
}

// The measure that another one is a share of.
const WHOLES = { retained_customers: "customers", gross_mrr: "opening_mrr", net_mrr: "opening_mrr", qualified: "leads", converted: "leads" };

function buildChoice(view, text) {
  const choices = choicesOf(view);
  if (choices.length < 2) return [];
  const options = choices.map(([id, name]) => element("option", { value: id }, capital(name)));
  const select = element("select", { id: `show-${view.name}`, autocomplete: "off", onchange: (event) => choose({ [`show.${view.name}`]: event.target.value }) }, ...options);
  return [element("p", { class: "by choice" }, element("label", { for: `show-${view.name}` }, quiet(say("shown")), hidden(say("shown_of", { title: text.title }))), select)];
}

// The chosen one, else the first.
function choiceOf(view, asked) {
  const ids = choicesOf(view).map(([id]) => id);
  const id = ids.includes(asked) ? asked : ids[0];
  const select = document.getElementById(`show-${view.name}`);
  if (select) select.value = id;
  return id;
}

function fillView(page, view, state) {
  const panel = document.querySelector(`[data-view="${view.name}"]`);
  const span = view.periods[state.period];
  slot(panel, "span").textContent = spanOfView(view, span);
  slot(panel, "unsplit").textContent = unsplitText(view, state.chosen);
  slot(panel, "legend").replaceChildren();
  const parts = { page, view, span, chosen: state.chosen, panel, drawn: slot(panel, "drawn"), title: viewText(view).title, choice: choiceOf(view, state.shows[view.name]) };
  FILLED[view.kind](parts);
}

// Cohorts are all there are, whatever the period; a stock is read on its last day.
function spanOfView(view, span) {
  if (view.kind === "heatmap") return view.as_of ? say("as_of", { date: dateText(view.as_of) }) : "";
  return view.snapshot && view.axes.length ? say("snapshot_period", { last: dateText(span.last) }) : spanText(span.first, span.last);
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
  const { view, chosen, page } = parts;
  const { names, rows, series } = view.axes.length ? stackByValue(parts) : stackOverTime(parts, cellsLeft(view, chosen, page.dimensions));
  withData(parts, series.flatMap(({ values }) => values), () => {
    drawStack(parts.drawn, view, names, series, chartLabel(parts), view.axes.length > 0);
    slot(parts.panel, "legend").append(...series.map((each, index) => element("span", { class: `is-series s${toneOf(each, index)}` }, each.name)));
    const cells = rows.map((row, index) => [row, ...series.map(({ values }) => [show(view, values[index])])]);
    const head = view.axes.length ? axisTitle(view) : say("until");
    tablesOf(parts, () => [table(captionOf(parts), [head, ...series.map(({ name }) => capital(name))], view.axes.length ? cells : cells.reverse())]);
  });
}

function stackOverTime({ view, span }, cells) {
  const [from, to] = span.slots.buckets;
  const values = (measure) => Array.from({ length: to - from }, (_, index) => sum(view.cube, measure, cells, from + index, from + index + 1));
  return {
    names: span.until.map((day) => dateText(day, "short")), rows: span.until.map((day) => dateText(day)),
    series: view.measures.map((measure) => ({ name: measureName(measure), measure, values: values(measure) })),
  };
}

// The measures of each value of the axis side by side, as they stand on the last day.
function stackByValue({ view, span, chosen, page }) {
  const segments = segmentsOf(view, chosen, page.dimensions).filter(({ cells }) => cells.length);
  const names = segments.map(({ name }) => name);
  const series = view.measures.map((measure) => ({ name: measureName(measure), measure, values: segments.map(({ cells }) => totalOf(view, measure, cells, span.slots)) }));
  return { names, rows: names, series };
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

// One flow at a time where there are several.
function fillFunnel(parts) {
  const { view, chosen, page } = parts;
  const isOfFlows = view.axes.length > 1;
  const flow = isOfFlows ? view.axes[0].values.findIndex((id) => (id ?? NOT_ASSIGNED) === parts.choice) : 0;
  const cells = isOfFlows ? segmentsOf(view, chosen, page.dimensions)[flow]?.cells ?? [] : cellsLeft(view, chosen, page.dimensions);
  const steps = stepsOf(parts, view.axes.length - 1, cells);
  withData(parts, steps.map(({ value }) => value), () => {
    parts.drawn.replaceChildren(bars(funnelRows(view, steps), chartLabel(parts)));
    tablesOf(parts, () => [funnelTable(parts, isOfFlows ? valueName(view.axes[0].column, view.axes[0], flow) : "", steps)]);
  });
}

// The steps that a flow has, from the first that most come to.
function stepsOf({ view, span }, at, cells) {
  const axis = view.axes[at];
  const codes = view.cube.codes[view.cube.dims.length - view.axes.length + at];
  const steps = axis.values.map((_, code) => ({ name: valueName(axis.column, axis, code), cells: cells.filter((cell) => codes[cell] === code) }))
    .filter((step) => step.cells.length)
    .map((step) => ({ ...step, values: view.measures.map((measure) => totalOf(view, measure, step.cells, span.slots)) }))
    .map((step) => ({ ...step, value: step.values[0] }));
  return view.axes.length > 1 ? steps.sort((one, other) => (other.value ?? 0) - (one.value ?? 0)) : steps;
}

const shareOfStep = (steps, index, base) => (steps[base]?.value ? percent((steps[index].value ?? 0) / steps[base].value) : NONE);

const funnelRows = (view, steps) => steps.map(({ name, value }, index) => ({
  name, value: value ?? 0, text: show(view, value), note: index ? say("of_step", { share: shareOfStep(steps, index, index - 1) }) : "",
}));

function funnelTable(parts, name, steps) {
  const rows = steps.map((step, index) => [
    step.name, ...step.values.map((value) => [show(parts.view, value)]), [index ? shareOfStep(steps, index, index - 1) : NONE], [index ? shareOfStep(steps, index, 0) : NONE],
  ]);
  const heads = [say("step"), ...parts.view.measures.map((_, index) => measureTitle(parts.view, index)), say("of_previous"), say("of_first")];
  return table(name ? `${name}: ${captionOf(parts)}` : captionOf(parts), heads, rows);
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
  const series = seriesOfView(view, parts.choice);
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

function seriesOfView(view, chosenMeasure) {
  if (view.axes.length < 2) return view.measures.map((measure) => ({ name: measureName(measure), measure, keeps: () => true }));
  const axis = view.axes[1];
  const codes = view.cube.codes[view.cube.dims.length - 1];
  return axis.values.map((_, code) => ({ name: valueName(axis.column, axis, code), measure: chosenMeasure, keeps: (cell) => codes[cell] === code }));
}

function groupOf(view, series, { name, values }, most) {
  const lines = values.map((value, index) => {
    const bar = element("span", { class: `fill s${index + 1}` });
    bar.style.width = `${((value ?? 0) / most) * 100}%`;
    return element("span", { class: "line" }, hidden(`${series[index].name}: `), element("span", { class: "track", "aria-hidden": "true" }, bar), element("span", { class: "number" }, view.unit === "count" ? plain(value ?? 0) : show(view, value)));
  });
  return element("li", {}, element("span", { class: "name" }, name), element("span", { class: "lines" }, ...lines));
}

// ---- heatmap -----------------------------------------------------------------------------------------------------------------------

// A table whose cells are shaded: what is drawn and what is read are the same. The first column is the cohort's size.
function fillHeatmap(parts) {
  const { view, span, chosen, page, choice } = parts;
  const [down, across] = view.axes;
  const at = view.cube.dims.length - 1;
  const byRow = cellsByCode(view, down.column, chosen, page.dimensions, null);
  const cellsAt = (row, column) => (byRow.get(row) || []).filter((cell) => view.cube.codes[at][cell] === column);
  const grid = down.values.map((_, row) => across.values.map((__, column) => shareAt(view, choice, cellsAt(row, column), span.slots)));
  withData(parts, grid.flat(), () => {
    const known = grid.flat().filter((value) => value !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const text = (value) => (value === null ? "" : percent(value, high < 0.2 ? 1 : 0));
    const whole = WHOLES[choice];
    const size = (row) => show(unitOf(view, whole), totalOf(view, whole, cellsAt(row, 0), span.slots), true);
    const rows = grid.map((values, row) => [axisLabel(down, row), [size(row), "size"], ...values.map((value) => [text(value), heatClass(value, low, high)])])
      .filter((_, row) => grid[row].some((value) => value !== null));
    const heads = [capital(dimensionName(down.column)), measureTitle({ measures: [whole] }, 0), ...across.values.map((_, code) => valueName(across.column, across, code))];
    const caption = say("heat_table", { title: parts.title, measure: measureName(choice), across: dimensionName(across.column) });
    parts.drawn.replaceChildren(table(caption, heads, rows));
  });
}

// Counts stand beside amounts in one view: only revenue is money.
const unitOf = (view, measure) => ({ ...view, unit: measure.endsWith("mrr") ? view.unit : "count" });

function shareAt(view, measure, cells, slots) {
  const whole = totalOf(view, WHOLES[measure], cells, slots);
  return whole ? (totalOf(view, measure, cells, slots) ?? 0) / whole : null;
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
