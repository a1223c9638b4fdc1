// Elements of the page: small helpers that set text as text, tables, bars that are buttons, symbols.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const hidden = (text) => element("span", { class: "visually-hidden" }, text);
const quiet = (text) => element("span", { "aria-hidden": "true" }, text);
const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

// The colours of the theme, read once for each: asking anew would lay the page out anew.
const palette = new Map();
function css(name) {
  if (!palette.has(name)) palette.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return palette.get(name);
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A state by its shape as well as its colour: circle, triangle, octagon, ring.
const SHAPES = {
  fresh: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "M4.8 8.2l2.2 2.3 4.2-4.6"],
  late: ["M8 1.2 15.2 14.5H.8z", "M8 6v4M8 12.2v.3"],
  failing: ["M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z", "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2"],
  unknown: ["M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z", "M5 8h6"],
};

function symbol(state) {
  const [body, sign] = SHAPES[state] || SHAPES.unknown;
  return svg("svg", { viewBox: "0 0 16 16", class: `symbol ${state}`, "aria-hidden": "true", focusable: "false" },
    svg("path", { d: body, class: "body" }), svg("path", { d: sign, class: "sign" }));
}

// A table in a box that scrolls by itself; cells are [text, class].
function table(caption, heads, rows) {
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map(([name, ...cells]) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...cells.map(([text, kind]) => element("td", { class: kind }, text))));
  const made = element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

// The tables behind a chart: made when they are opened, so that a page of hundreds of rows opens at once.
function renderTables(details, make) {
  details.fillTables = () => details.replaceChildren(details.querySelector("summary"), ...(details.open ? make() : []));
  details.fillTables();
}
const tablesBehind = (id) =>
  element("details", { class: "tables", id, "data-slot": "tables", ontoggle: (event) => event.target.fillTables?.() },
    element("summary", {}, say("show_table")));

// Bars from a common zero. A row is {key, name, value, text, note, mark, pressed, onclick}; mark is where the target is.
function bars(rows, label) {
  const reach = rows.flatMap(({ value, mark }) => [value, mark ?? 0]);
  const low = Math.min(0, ...reach);
  const size = Math.max(0, ...reach) - low || 1;
  const place = (value) => `${((value - low) / size) * 100}%`;
  return element("ol", { class: "bars", "aria-label": label }, ...rows.map((row) => barRow(row, place)));
}

function barRow(row, place) {
  const fillBar = element("span", { class: row.kind ? `fill ${row.kind}` : "fill" });
  const ends = [place(Math.min(0, row.value)), place(Math.max(0, row.value))];
  fillBar.style.left = ends[0];
  fillBar.style.width = `${parseFloat(ends[1]) - parseFloat(ends[0])}%`;
  const track = element("span", { class: "track", "aria-hidden": "true" }, fillBar);
  if (row.mark !== null && row.mark !== undefined) {
    const mark = element("span", { class: "mark" });
    mark.style.left = place(row.mark);
    track.append(mark);
  }
  const parts = [element("span", { class: "name" }, row.name), track, element("span", { class: "number" }, row.text)];
  if (row.note) parts.push(element("span", { class: "note" }, row.note));
  if (!row.onclick) return element("li", {}, element("span", { class: "row" }, ...parts));
  const button = element("button", { type: "button", class: "row", id: row.key, "aria-pressed": String(row.pressed), title: row.title, onclick: row.onclick }, ...parts);
  return element("li", {}, button);
}

// A line without axes that shows the way a figure went; the figures are in the tables.
function sparkline(values, kind) {
  const known = values.filter((value) => value !== null);
  const made = svg("svg", { viewBox: "0 0 120 34", class: "spark", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  if (known.length < 2) return made;
  const low = kind === "bar" ? Math.min(0, ...known) : Math.min(...known);
  const size = Math.max(...known) - low || 1;
  const height = (value) => 31 - ((value - low) / size) * 28;
  if (kind === "bar") {
    const step = 120 / values.length;
    values.forEach((value, index) => {
      if (value === null) return;
      made.append(svg("rect", { x: index * step + step * 0.15, y: Math.min(height(value), height(0)), width: step * 0.7, height: Math.max(1, Math.abs(height(0) - height(value))) }));
    });
    return made;
  }
  const at = (index) => 2 + (index * 116) / (values.length - 1);
  let path = "";
  values.forEach((value, index) => {
    if (value !== null) path += `${(values[index - 1] ?? null) === null ? "M" : "L"}${at(index).toFixed(1)} ${height(value).toFixed(1)}`;
  });
  made.append(svg("path", { d: path, "vector-effect": "non-scaling-stroke" }));
  return made;
}
