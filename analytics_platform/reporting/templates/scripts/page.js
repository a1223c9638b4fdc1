// The page as a whole: unpacks what is embedded, builds it in the reader's language, and fills it at each choice.

let shown = null;  // what is embedded: payload, words, siblings

// The payload lies in the page gzipped, because years of many tenants would be too long to send otherwise.
async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent.trim());
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const hasMatrix = (page) => page.audience.tenant === null && page.kpis.length > 2 && page.kpis.some((kpi) => kpi.cube.dims.includes("tenant_id"));
const audienceName = (page) => page.audience.tenant ?? say("all_tenants");

// ---- building: once per language --------------------------------------------------------------------------------------------

function build() {
  const page = shown.payload;
  forgetCharts();
  document.documentElement.lang = reader.language;
  const text = reader.words.dashboards[page.dashboard];
  document.title = `${text.title} \u00B7 ${audienceName(page)}`;
  document.querySelector(".skip").textContent = say("skip");
  document.getElementById("masthead").replaceChildren(buildBar(page), buildTitle(page, text));
  document.getElementById("main").replaceChildren(buildChoices(page), buildCards(page), ...buildMatrix(page), ...buildDetails(page));
  document.getElementById("colophon").replaceChildren(element("p", {}, say("how_to_read")));
}

function buildBar(page) {
  const links = shown.siblings.map(({ dashboard, href }) => {
    const attributes = { href, "data-keeps-hash": "", "aria-current": dashboard === page.dashboard ? "page" : null };
    return element("li", {}, element("a", attributes, reader.words.dashboards[dashboard].title));
  });
  return element("div", { class: "bar" },
    element("p", { class: "audience" }, audienceName(page)),
    element("nav", { "aria-label": say("dashboards") }, element("ul", {}, ...links)),
    element("div", { class: "switches" }, languageSwitch(), themeSwitch()));
}

const languageSwitch = () => element("div", { class: "languages", role: "group", "aria-label": say("language") },
  ...Object.keys(LOCALES).map((language) => element("button", {
    type: "button", id: `lang-${language}`, lang: language, "aria-pressed": String(language === reader.language), onclick: () => choose({ lang: language }),
  }, language.toUpperCase(), hidden(` ${shown.words[language].page.language_name}`))));

const themeSwitch = () => element("button", { type: "button", id: "theme", class: "theme", onclick: () => choose({ theme: readTheme() === "dark" ? "light" : "dark" }) });

function buildTitle(page, text) {
  const known = page.kpis.map((kpi) => kpi.as_of).filter((day) => day !== null).sort();
  const currencies = [...new Set([...page.kpis, ...page.views].map(({ currency }) => currency).filter(Boolean))];
  const meta = element("p", { class: "meta" }, element("span", { id: "as-of" }, known.length ? say("as_of", { date: dateText(known[0], "long") }) : say("no_data")));
  if (currencies.length) meta.append(element("span", {}, say("amounts_in", { currency: currencies.join(" / ") })));
  return element("div", { class: "title" },
    element("div", {}, element("h1", {}, text.title), element("p", { class: "lede" }, text.description), meta), buildPeriods(page));
}

const buildPeriods = (page) => element("fieldset", { class: "segmented", id: "period", onchange: (event) => choose({ period: event.target.value }) },
  element("legend", {}, say("period")),
  ...Object.keys(page.kpis[0].periods).flatMap((period) => [
    element("input", { type: "radio", name: "period", id: `period-${period}`, value: period, autocomplete: "off" }),
    element("label", { for: `period-${period}` }, say(`period_${period}`)),
  ]));

function buildCards(page) {
  const isMany = page.kpis.length > 2;
  return element("section", { class: isMany ? "cards many" : "cards", "aria-label": say("key_figures") }, ...page.kpis.map((kpi) => buildCard(page, kpi, isMany)));
}

const buildMatrix = (page) => (hasMatrix(page) ? [element("div", { class: "matrix", id: "matrix" })] : []);

function buildDetails(page) {
  const isMany = page.kpis.length > 2 ? " many" : "";
  const made = [element("section", { class: `panels${isMany}`, "aria-labelledby": "trends" },
    element("h2", { id: "trends", class: "visually-hidden" }, say("trends")), ...page.kpis.map((kpi) => buildPanel(page, kpi)))];
  if (page.views.length)
    made.push(element("section", { class: "panels views", "aria-labelledby": "views" }, element("h2", { id: "views", class: "visually-hidden" }, say("views")), ...buildViews(page)));
  return made;
}

// Two beside each other; a heatmap, and one that would stand alone, take the whole width.
function buildViews(page) {
  const halves = page.views.filter(({ kind }) => kind !== "heatmap");
  const wides = page.views.filter(({ kind }) => kind === "heatmap");
  return [...halves.map((view, index) => buildView(view, index === halves.length - 1 && index % 2 === 0)), ...wides.map((view) => buildView(view, true))];
}

// ---- filters ------------------------------------------------------------------------------------------------------------------

const LISTED = 25;  // options that a list is read through; more are searched by typing

// The dimensions that something on this page is split by and that have something to choose.
const filterColumns = (page) => Object.keys(page.dimensions).filter((column) =>
  page.dimensions[column].values.length > 1 && [...page.kpis, ...page.views].some((of) => {
    const at = of.cube.dims.indexOf(column);
    return at >= 0 && at < of.cube.dims.length - (of.axes || []).length;
  }));

function buildChoices(page) {
  const columns = filterColumns(page);
  const filters = element("details", { class: "filters", id: "filters" },
    element("summary", {}, element("span", { id: "filters-title" }, say("filters"))),
    element("div", { class: "fields", "data-slot": "fields" }, ...columns.map((column) => buildFilter(page, column))));
  filters.open = matchMedia("(min-width: 900px)").matches;
  return element("section", { class: "choices", "aria-labelledby": "filters-title" }, filters, element("ul", { class: "chips", "data-slot": "chips" }));
}

function buildFilter(page, column) {
  const id = `filter-${column}`;
  const name = capital(dimensionName(column));
  const field = element("div", { class: "field" }, element("label", { for: id }, name));
  if (page.dimensions[column].values.length <= LISTED) {
    field.append(element("select", { id, "data-filter": column, autocomplete: "off", onchange: (event) => choose({ [column]: event.target.value === "*" ? null : event.target.value.slice(1) }) }));
  } else {
    field.append(
      element("input", { id, "data-filter": column, list: `${id}-options`, autocomplete: "off", placeholder: say("all"), onchange: (event) => chooseTyped(page, column, event.target) }),
      element("datalist", { id: `${id}-options` }));
  }
  return field;
}

// Two values may be called the same: then the id is said too.
function optionNames(page, column, codes) {
  const names = new Map(codes.map((code) => [code, valueName(column, page.dimensions[column], code)]));
  const times = new Map();
  for (const name of names.values()) times.set(name, (times.get(name) || 0) + 1);
  return new Map([...names].map(([code, name]) => [code, times.get(name) > 1 ? `${name} (${page.dimensions[column].values[code]})` : name]));
}

function chooseTyped(page, column, input) {
  const typed = input.value.trim();
  if (!typed) return choose({ [column]: null });
  const codes = page.dimensions[column].values.map((_, code) => code);
  const found = [...optionNames(page, column, codes)].find(([, name]) => name.toLocaleLowerCase() === typed.toLocaleLowerCase());
  if (found) return choose({ [column]: hashValue(page.dimensions[column], found[0]) });
  announce(say("no_such_value", { value: typed }));
  return renderState();
}

function fillFilters(page, { chosen }) {
  for (const field of document.querySelectorAll("[data-filter]")) {
    const column = field.dataset.filter;
    const dimension = page.dimensions[column];
    const left = codesLeft(page, column, chosen);
    if (chosen.has(column)) left.add(chosen.get(column));
    const names = [...optionNames(page, column, [...left])].sort(([one, a], [other, b]) =>
      (dimension.others === one) - (dimension.others === other) || a.localeCompare(b, reader.locale, { numeric: true }));
    field.classList.toggle("set", chosen.has(column));
    if (field.tagName === "INPUT") {
      field.nextElementSibling.replaceChildren(...names.map(([, name]) => element("option", { value: name })));
      field.value = chosen.has(column) ? names.find(([code]) => code === chosen.get(column))[1] : "";
    } else {
      field.replaceChildren(element("option", { value: "*" }, say("all")), ...names.map(([code, name]) => element("option", { value: `=${hashValue(dimension, code)}` }, name)));
      field.value = chosen.has(column) ? `=${hashValue(dimension, chosen.get(column))}` : "*";
    }
  }
  fillChips(page, chosen);
}

function fillChips(page, chosen) {
  const chips = [...chosen].map(([column, code]) => {
    const words = { dimension: capital(dimensionName(column)), name: valueName(column, page.dimensions[column], code) };
    return element("li", {}, element("button", { type: "button", class: "chip", id: `chip-${column}`, onclick: () => choose({ [column]: null }) },
      element("span", {}, say("chip", words)), hidden(` ${say("chip_remove")}`), quiet("\u00D7")));
  });
  if (chosen.size > 1) {
    const none = Object.fromEntries([...chosen.keys()].map((column) => [column, null]));
    chips.push(element("li", {}, element("button", { type: "button", class: "clear", id: "chips-clear", onclick: () => choose(none) }, say("clear"))));
  }
  document.querySelector('[data-slot="chips"]').replaceChildren(...chips);
}

// ---- tenants side by side -------------------------------------------------------------------------------------------------------

const PRINTED = 28;  // rows that paper has room for; the style sheet leaves out the others

function fillMatrix(page, { chosen, period }) {
  const box = document.getElementById("matrix");
  if (!box) return;
  const dimension = page.dimensions.tenant_id;
  const kpis = page.kpis.filter((kpi) => kpi.cube.dims.includes("tenant_id"));
  const columns = kpis.map((kpi) => ({ kpi, parts: partsOf(kpi, "tenant_id", chosen, page.dimensions, period) }));
  const codes = [...new Set(columns.flatMap(({ parts }) => [...parts.keys()]))];
  const rows = codes.map((code) => [valueName("tenant_id", dimension, code), ...columns.map(({ kpi, parts }) => matrixCell(kpi, parts.get(code)))]);
  rows.sort((one, other) => one[0].localeCompare(other[0], reader.locale));
  box.replaceChildren(table(say("matrix"), [say("tenant"), ...kpis.map((kpi) => kpiText(kpi).title)], rows));
  if (rows.length > PRINTED) box.append(element("p", { class: "print-only" }, say("matrix_more", { shown: plain(PRINTED), total: plain(rows.length) })));
}

function matrixCell(kpi, part) {
  if (!part) return [NONE];
  if (kpi.kind === "sum" || kpi.target === null) return [show(kpi, part.value)];
  return meets(kpi, part.value, kpi.target) ? [`${show(kpi, part.value)} \u2713`, "better"] : [`${show(kpi, part.value)} \u2717`, "worse"];
}

// ---- filling: at each choice ------------------------------------------------------------------------------------------------------

function renderState() {
  const page = shown.payload;
  const state = readState(page, shown.default_period);
  const focused = document.activeElement?.id;
  document.getElementById(`period-${state.period}`).checked = true;
  fillFilters(page, state);
  for (const kpi of page.kpis) fillKpi(page, kpi, state);
  for (const view of page.views) fillView(page, view, state);
  fillMatrix(page, state);
  for (const link of document.querySelectorAll("[data-keeps-hash]")) link.hash = location.hash;
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  return state;
}

function paint() {
  const dark = readTheme() === "dark" && !onPaper();
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  palette.clear();
}

function renderAll() {
  paint();
  const language = readLanguage();
  if (language !== reader.language || !document.getElementById("theme")) {
    const focused = document.activeElement?.id;
    speak(language, shown.words[language]);
    build();
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  document.getElementById("theme").textContent = say(readTheme() === "dark" ? "to_light" : "to_dark");
  return renderState();
}

function announce(text) {
  document.getElementById("said").textContent = text;
}

function announceState(page, { period, chosen }) {
  const filters = [...chosen].map(([column, code]) => `${dimensionName(column)} ${valueName(column, page.dimensions[column], code)}`);
  announce(say("now_shown", { period: say(`period_${period}`), filters: filters.join(", ") || say("no_filter") }));
}

function choose(changes) {
  writeState(changes);
  announceState(shown.payload, renderAll());
}

function listen() {
  addEventListener("popstate", () => announceState(shown.payload, renderAll()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renderAll);
  const print = (on) => () => {
    document.documentElement.classList.toggle("printing", on);
    renderAll();
  };
  addEventListener("beforeprint", print(true));
  addEventListener("afterprint", print(false));
  let frame = 0;
  addEventListener("resize", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(renderAll); });
  document.addEventListener("click", (event) => {
    for (const badge of document.querySelectorAll(".badge[open]")) if (!badge.contains(event.target)) badge.open = false;
  });
}

async function start() {
  shown = await unpack("figures");
  renderAll();
  listen();
  document.documentElement.dataset.ready = "";
}

start();
