// What the reader chose, kept in the URL's hash: so it can be sent, goes along to the other dashboards, and back goes back.
// What this page does not know (a filter of another dashboard, nonsense) is kept and does nothing.

const NOT_ASSIGNED = "";  // the value of a filter on "not assigned"; no id is empty

function readState(page, defaultPeriod) {
  const entries = new URLSearchParams(location.hash.slice(1));
  const periods = Object.keys(page.kpis[0].periods);
  const chosen = new Map();
  for (const [column, { values }] of Object.entries(page.dimensions)) {
    if (!entries.has(column)) continue;
    const code = values.indexOf(entries.get(column) === NOT_ASSIGNED ? null : entries.get(column));
    if (code >= 0) chosen.set(column, code);
  }
  const by = Object.fromEntries(page.kpis.map((kpi) => [kpi.name, drillDownOf(kpi, entries.get(`by.${kpi.name}`), chosen)]));
  const shows = Object.fromEntries(page.views.map(({ name }) => [name, entries.get(`show.${name}`)]));
  return { period: periods.includes(entries.get("period")) ? entries.get("period") : defaultPeriod, chosen, by, shows };
}

// By default the first that still tells parts apart.
function drillDownOf(kpi, asked, chosen) {
  if (kpi.drill_downs.includes(asked)) return asked;
  return kpi.drill_downs.find((column) => !chosen.has(column)) ?? kpi.drill_downs[0];
}

function readLanguage() {
  const asked = new URLSearchParams(location.hash.slice(1)).get("lang");
  return asked !== null && Object.hasOwn(LOCALES, asked) ? asked : preferredLanguage();
}

function readTheme() {
  const asked = new URLSearchParams(location.hash.slice(1)).get("theme");
  if (asked === "light" || asked === "dark") return asked;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// Set entries of the hash (null removes one) as a step that the browser's back button takes back.
function writeState(changes) {
  const entries = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
  history.pushState(null, "", `#${entries}`);
}

const hashValue = (dimension, code) => dimension.values[code] ?? NOT_ASSIGNED;
