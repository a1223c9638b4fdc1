// From the cubes of the page to the figures that are shown: picks the cells that the filters leave, adds them up, divides.
// What cannot be added (medians) was computed before, and is looked up. `chosen` maps a dimension to the code of its one
// value; a filter that a cube is not split by leaves it as it is, and `notSplitBy` says so.

const cellCount = (cube) => Object.values(cube.data)[0].length / cube.slots;

// Where each filter of a cube stands among its dimensions, and the code that is wanted there.
function wantedCodes(of, chosen, dimensions, except) {
  const axes = of.axes || [];
  const filters = of.cube.dims.length - axes.length;
  return of.cube.dims.flatMap((column, at) => {
    if (column === except || !chosen.has(column)) return [];
    const code = chosen.get(column);
    return [[at, at < filters ? code : axes[at - filters].values.indexOf(dimensions[column].values[code])]];
  });
}

function cellsLeft(of, chosen, dimensions, except) {
  const wanted = wantedCodes(of, chosen, dimensions, except);
  const count = cellCount(of.cube);
  const left = [];
  for (let cell = 0; cell < count; cell += 1)
    if (wanted.every(([at, code]) => of.cube.codes[at][cell] === code)) left.push(cell);
  return left;
}

const notSplitBy = (of, chosen) => [...chosen.keys()].filter((column) => !of.cube.dims.includes(column));

// The sum over cells and slots; null where nothing is there, which is not 0.
function sum(cube, measure, cells, from, to) {
  const numbers = cube.data[measure];
  let total = null;
  for (const cell of cells)
    for (let at = cell * cube.slots + from; at < cell * cube.slots + to; at += 1)
      if (numbers[at] !== null) total += numbers[at];
  return total;
}

function figure(kpi, cells, from, to) {
  const numerator = sum(kpi.cube, kpi.kind === "median" ? "values" : "numerator", cells, from, to);
  if (kpi.kind === "median") return { value: numerator, weight: null };
  if (kpi.kind === "sum") return { value: numerator === null ? null : numerator * kpi.scale, weight: numerator };
  const denominator = sum(kpi.cube, "denominator", cells, from, to);
  return { value: denominator ? (numerator / denominator) * kpi.scale : null, weight: denominator };
}

// The slots that the figure of a period is read from: its own where there is one, a stock's last, else all.
function slotsRead(of, slots, total) {
  if (total !== null && total !== undefined) return [total, total + 1];
  return of.snapshot ? [slots[1] - 1, slots[1]] : slots;
}

function figureOfPeriod(kpi, cells, period) {
  const { slots, comparable } = kpi.periods[period];
  const now = figure(kpi, cells, ...slotsRead(kpi, slots.buckets, slots.total));
  const before = comparable ? figure(kpi, cells, ...slotsRead(kpi, slots.previous, slots.previous_total)) : { value: null };
  return { ...now, previous: before.value };
}

const trendOf = (kpi, cells, [from, to]) =>
  Array.from({ length: to - from }, (_, index) => figure(kpi, cells, from + index, from + index + 1).value);

// The cells that a KPI's figure is made of. Of a median that is the one computed for exactly these filters.
function cellsOfKpi(kpi, chosen, dimensions) {
  if (kpi.kind !== "median") return cellsLeft(kpi, chosen, dimensions);
  const row = medianRows(kpi.cube).get(kpi.cube.dims.map((column) => chosen.get(column) ?? -1).join());
  return row === undefined ? [] : [row];
}

const medianRowsByCube = new WeakMap();
function medianRows(cube) {
  if (!medianRowsByCube.has(cube)) {
    const rows = Array.from({ length: cellCount(cube) }, (_, cell) => [cube.codes.map((codes) => codes[cell]).join(), cell]);
    medianRowsByCube.set(cube, new Map(rows));
  }
  return medianRowsByCube.get(cube);
}

// Of a median only selections of so many filters at once were computed.
function isComputed(kpi, chosen, column) {
  if (kpi.kind !== "median") return true;
  const fixed = new Set([...chosen.keys(), ...(column ? [column] : [])].filter((name) => kpi.cube.dims.includes(name)));
  const most = mostChosen(kpi.cube);
  return fixed.size <= most || most === 0;
}

const mostChosenByCube = new WeakMap();
function mostChosen(cube) {
  if (!mostChosenByCube.has(cube)) {
    const counts = new Array(cellCount(cube)).fill(0);
    for (const codes of cube.codes) codes.forEach((code, cell) => { counts[cell] += code >= 0 ? 1 : 0; });
    mostChosenByCube.set(cube, counts.reduce((most, count) => Math.max(most, count), 0));
  }
  return mostChosenByCube.get(cube);
}

const changeOf = (of, value, previous) => {
  if (value === null || previous === null || previous === undefined) return null;
  if (inPoints(of)) return value - previous;
  return previous === 0 ? null : (value - previous) / Math.abs(previous);
};

// A target of a sum is one for the whole: it says nothing about a part of it.
function targetOf(kpi, chosen) {
  const isPart = [...chosen.keys()].some((column) => kpi.cube.dims.includes(column));
  return kpi.kind === "sum" && isPart ? null : kpi.target;
}

// Judged as shown, so that no figure that reads like its target is called short of it.
function meets(kpi, value, target) {
  if (show(kpi, value) === show(kpi, target)) return true;
  return kpi.direction === "up" ? value >= target : value <= target;
}

// ---- parts of a figure -------------------------------------------------------------------------------------------------

// A KPI by the values of one dimension, under all other filters, as a mapping from code to figure.
function partsOf(kpi, column, chosen, dimensions, period) {
  const cells = kpi.kind === "median" ? cellsOfMedianParts(kpi, column, chosen) : cellsByCode(kpi, column, chosen, dimensions);
  const parts = new Map();
  for (const [code, own] of cells) {
    const part = figureOfPeriod(kpi, own, period);
    if (part.value !== null) parts.set(code, part);
  }
  return parts;
}

function cellsByCode(of, column, chosen, dimensions, except = column) {
  const codes = of.cube.codes[of.cube.dims.indexOf(column)];
  const groups = new Map();
  for (const cell of cellsLeft(of, chosen, dimensions, except)) {
    if (!groups.has(codes[cell])) groups.set(codes[cell], []);
    groups.get(codes[cell]).push(cell);
  }
  return groups;
}

function cellsOfMedianParts(kpi, column, chosen) {
  const at = kpi.cube.dims.indexOf(column);
  const rows = medianRows(kpi.cube);
  return [...new Set(kpi.cube.codes[at])].filter((code) => code >= 0).flatMap((code) => {
    const row = rows.get(kpi.cube.dims.map((name) => (name === column ? code : chosen.get(name) ?? -1)).join());
    return row === undefined ? [] : [[code, [row]]];
  });
}

// The values of a dimension that some figure still has under the other filters.
function codesLeft(page, column, chosen) {
  const left = new Set();
  for (const of of [...page.kpis, ...page.views]) {
    const at = of.cube.dims.indexOf(column);
    if (at < 0 || at >= of.cube.dims.length - (of.axes || []).length) continue;
    const others = of.kind === "median" && !isComputed(of, chosen, column) ? new Map() : chosen;
    for (const cell of cellsLeft(of, others, page.dimensions, column)) left.add(of.cube.codes[at][cell]);
  }
  left.delete(-1);
  return left;
}

// ---- anomalies ---------------------------------------------------------------------------------------------------------

const seriesOf = (page, anomaly) => ({
  ...(anomaly.series || {}),
  ...(anomaly.tenant_id === null || page.audience.tenant !== null ? {} : { tenant_id: anomaly.tenant_id }),
});

// Those of the series that the figure shows: the whole, or exactly the part that is chosen.
function anomaliesShown(page, kpi, chosen, period) {
  const shown = [...chosen].filter(([column]) => kpi.cube.dims.includes(column));
  const { first, last } = kpi.periods[period];
  return kpi.anomalies.filter((anomaly) => {
    const series = seriesOf(page, anomaly);
    const same = shown.every(([column, code]) => series[column] === page.dimensions[column].values[code]);
    return same && Object.keys(series).length === shown.length && first <= anomaly.day && anomaly.day <= last;
  });
}

// Those of the chosen part and of all parts within it, for the table.
function anomaliesWithin(page, kpi, chosen, period) {
  const { first, last } = kpi.periods[period];
  return kpi.anomalies.filter((anomaly) => {
    const series = seriesOf(page, anomaly);
    const within = [...chosen].every(
      ([column, code]) => !kpi.cube.dims.includes(column) || series[column] === page.dimensions[column].values[code],
    );
    return within && first <= anomaly.day && anomaly.day <= last;
  });
}

const bucketOf = (span, day) => span.until.findIndex((until) => day <= until);

// ---- views ---------------------------------------------------------------------------------------------------------------

// The figure of a view per value of its first axis (or per measure where it has none), each with the cells it is made of.
function segmentsOf(view, chosen, dimensions) {
  if (!view.axes.length) {
    const cells = cellsLeft(view, chosen, dimensions);
    return view.measures.map((measure) => ({ name: measureName(measure), measure, cells }));
  }
  const [axis] = view.axes;
  const groups = cellsByCode(view, axis.column, chosen, dimensions, null);
  return axis.values.map((id, code) => ({
    id, name: valueName(axis.column, axis, code), measure: view.measures[0], cells: groups.get(code) || [],
  }));
}

const totalOf = (view, measure, cells, slots) => sum(view.cube, measure, cells, ...slotsRead(view, slots.buckets, slots.total));
