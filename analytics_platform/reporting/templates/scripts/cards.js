// The cards at the top, and the panel of each KPI: trend, drill-down, tables.

const BARS_SHOWN = 8;

// ---- building: once per language ------------------------------------------------------------------------------------------

function buildCard(page, kpi, isMany) {
  const text = kpiText(kpi);
  const title = isMany ? element("a", { href: `#panel-${kpi.name}`, onclick: scrollTo }, text.title) : text.title;
  return element("article", { class: "card", "data-card": kpi.name, "aria-labelledby": `card-${kpi.name}` },
    element("header", {}, element("h2", { id: `card-${kpi.name}` }, title), definitionHint(kpi, text)),
    element("div", { class: "headline" }, element("p", { class: "value", "data-slot": "value" }), element("div", { class: "sparkbox", "data-slot": "spark" })),
    element("p", { class: "change", "data-slot": "change" }),
    element("p", { class: "target", "data-slot": "target" }),
    element("p", { class: "note", "data-slot": "note" }),
    element("p", { class: "unsplit", "data-slot": "unsplit" }),
    element("footer", {}, qualityBadge(page, kpi), element("span", { class: "as-of" }, kpi.as_of ? say("as_of", { date: dateText(kpi.as_of) }) : say("never_published"))));
}

function scrollTo(event) {
  event.preventDefault();
  const target = document.querySelector(event.currentTarget.getAttribute("href"));
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

function definitionHint(kpi, text) {
  const hint = element("span", { class: "hint" },
    element("button", { type: "button", "aria-describedby": `definition-${kpi.name}`, "aria-label": say("definition", { title: text.title }) }, "i"),
    element("span", { role: "tooltip", id: `definition-${kpi.name}` }, element("strong", {}, text.description), " ", text.definition));
  hint.addEventListener("keydown", (event) => { if (event.key === "Escape") hint.classList.add("dismissed"); });
  for (const back of ["mouseleave", "focusout"]) hint.addEventListener(back, () => hint.classList.remove("dismissed"));
  return hint;
}

// What the asset checks say of the KPI's tables; opens to what failed.
function qualityBadge(page, kpi) {
  const { state, checked, failing, as_of: asOf } = kpi.quality;
  const badge = element("details", { class: `badge ${state}`, name: "quality" },
    element("summary", {}, symbol(state), hidden(say("quality_of", { title: kpiText(kpi).title })), element("span", {}, say(`quality_${state}`))));
  const body = element("div", { class: "popover" }, element("p", {}, say(`quality_${state}_means`)));
  if (asOf) body.append(element("p", {}, say("quality_as_of", { date: dateText(asOf) })));
  body.append(element("p", {}, say("quality_checked", { count: plain(checked) })));
  if (failing.length) body.append(element("ul", {}, ...failing.map((one) => failingCheck(page, one))));
  if (page.lineage && kpi.asset) body.append(element("p", {}, lineageLink(page, kpi.asset, say("lineage"))));
  badge.append(body);
  badge.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !badge.open) return;
    badge.open = false;
    badge.querySelector("summary").focus();
  });
  return badge;
}

const failingCheck = (page, { check, asset, severity }) => element("li", {},
  element("b", {}, check.replace(/_/g, " ")), ` (${own(reader.words.page, `severity_${String(severity).toLowerCase()}`) ?? severity}) `,
  page.lineage ? lineageLink(page, asset, asset) : element("code", {}, asset));

// Only an address of the web is a link: whatever else stands there is not followed.
function lineageLink(page, asset, text) {
  if (!/^https?:\/\//i.test(page.lineage)) return element("span", {}, text);
  const path = asset.split("/").map(encodeURIComponent).join("/");
  return element("a", { href: `${page.lineage.replace(/\/+$/, "")}/assets/${path}`, rel: "noreferrer", target: "_blank" }, text, hidden(` ${say("new_window")}`));
}

function buildPanel(page, kpi) {
  const text = kpiText(kpi);
  return element("article", { class: "panel", id: `panel-${kpi.name}`, "data-panel": kpi.name, "aria-labelledby": `title-${kpi.name}`, tabindex: "-1" },
    element("header", {}, element("h3", { id: `title-${kpi.name}` }, text.title), element("p", { class: "span", "data-slot": "span" })),
    element("p", { class: "explained" }, text.description),
    element("p", { class: "legend", "data-slot": "legend", "aria-hidden": "true" }),
    element("div", { class: "chart trend", "data-slot": "trend" }),
    ...(kpi.drill_downs.length ? buildDrill(kpi, text) : []),
    tablesBehind(`tables-${kpi.name}`));
}

function buildDrill(kpi, text) {
  const options = kpi.drill_downs.map((column) => element("option", { value: column }, dimensionName(column)));
  const select = element("select", { id: `by-${kpi.name}`, "data-slot": "by", autocomplete: "off", onchange: (event) => choose({ [`by.${kpi.name}`]: event.target.value }) }, ...options);
  return [
    element("div", { class: "by" },
      element("label", { for: `by-${kpi.name}` }, quiet(say("by")), hidden(say("break_down", { title: text.title }))), select,
      element("p", { class: "span", "data-slot": "shown" })),
    element("div", { class: "drill", "data-slot": "drill" }),
  ];
}

// ---- filling: at each choice ------------------------------------------------------------------------------------------------

function fillKpi(page, kpi, state) {
  const { chosen, period } = state;
  const cells = cellsOfKpi(kpi, chosen, page.dimensions);
  const shown = {
    ...figureOfPeriod(kpi, cells, period), target: targetOf(kpi, chosen), span: kpi.periods[period],
    now: trendOf(kpi, cells, kpi.periods[period].slots.buckets), before: trendOf(kpi, cells, kpi.periods[period].slots.previous),
  };
  fillCard(page, kpi, shown, chosen);
  fillPanel(page, kpi, shown, state);
}

function fillCard(page, kpi, shown, chosen) {
  const card = document.querySelector(`[data-card="${kpi.name}"]`);
  const value = slot(card, "value");
  value.textContent = shown.value === null ? say("none_shown") : show(kpi, shown.value, kpi.unit === "money_minor" && Math.abs(shown.value) >= 1e9);
  value.classList.toggle("none", shown.value === null);
  slot(card, "spark").replaceChildren(sparkline(shown.now, kpi.shape));
  fillChange(kpi, shown, slot(card, "change"));
  fillTarget(kpi, shown, slot(card, "target"));
  fillNote(page, kpi, shown.span, slot(card, "note"));
  slot(card, "unsplit").textContent = isComputed(kpi, chosen) ? unsplitText(kpi, chosen) : say("not_computed");
}

function unsplitText(of, chosen) {
  const columns = notSplitBy(of, chosen);
  return columns.length ? say("not_split", { dimensions: columns.map(dimensionName).join(", ") }) : "";
}

function fillChange(kpi, { value, previous }, line) {
  line.className = "change";
  line.replaceChildren();
  if (value === null) return;
  const change = changeOf(kpi, value, previous);
  if (change === null) {
    line.append(previous === null ? say("no_comparison") : say("versus", { previous: show(kpi, previous) }));
    return;
  }
  const judged = verdict(kpi, change);
  line.classList.add(judged);
  const moved = judged === "unchanged" ? say("unchanged") : `${showDifference(kpi, change)} ${say(judged)}`;
  line.append(element("b", {}, quiet(`${arrow(kpi, change)} `), moved), ` ${say("versus", { previous: show(kpi, previous) })}`);
}

function fillTarget(kpi, { value, target }, line) {
  line.replaceChildren();
  if (target === null) return;
  line.append(say("target_value", { target: show(kpi, target, true) }));
  if (value === null) return;
  const met = meets(kpi, value, target);
  line.append(" \u00B7 ", element("b", { class: met ? "met" : "missed" }, quiet(met ? "\u2713 " : "\u2717 "), say(met ? "on_target" : "below_target")));
}

function fillNote(page, kpi, span, line) {
  const late = kpi.as_of !== null && kpi.as_of < page.day;
  const words = { first: dateText(span.first), last: dateText(span.last), days: kpi.maturity };
  const said = say(kpi.maturity ? "cohorts" : kpi.snapshot ? "snapshot_period" : "flow_period", words);
  const incomplete = !kpi.snapshot && span.days_published < span.days;
  const published = say("incomplete", { present: plain(span.days_published), days: plain(span.days) });
  line.classList.toggle("late", late || incomplete);
  if (late) line.textContent = say("as_of_late", { date: dateText(kpi.as_of) });
  else line.textContent = incomplete ? `${said} \u00B7 ${published}` : said;
}

function fillPanel(page, kpi, shown, state) {
  const panel = document.querySelector(`[data-panel="${kpi.name}"]`);
  slot(panel, "span").textContent = spanText(shown.span.first, shown.span.last);
  fillTrend(page, kpi, shown, state, panel);
  const column = state.by[kpi.name];
  const parts = column ? partsOf(kpi, column, state.chosen, page.dimensions, state.period) : new Map();
  if (column) fillDrill(page, kpi, shown, { column, parts, chosen: state.chosen }, panel);
  renderTables(slot(panel, "tables"), () => kpiTables(page, kpi, shown, { column, parts }, state));
}

function fillTrend(page, kpi, shown, state, panel) {
  const container = slot(panel, "trend");
  const legend = slot(panel, "legend");
  legend.replaceChildren();
  if (shown.now.every((value) => value === null)) return emptyState(container);
  const before = shown.before.some((value) => value !== null) ? shown.before : null;
  const unusual = anomaliesShown(page, kpi, state.chosen, state.period)
    .map((anomaly) => ({ index: bucketOf(shown.span, anomaly.day), text: anomalyText(kpi, anomaly) }));
  const isBar = kpi.shape === "bar";
  legend.append(element("span", { class: isBar ? "is-bar" : "is-now" }, say("this_period")));
  if (before) legend.append(element("span", { class: isBar ? "is-tick" : "is-before" }, say("before")));
  if (shown.target !== null) legend.append(element("span", { class: "is-goal" }, say("target_value", { target: show(kpi, shown.target, true) })));
  if (unusual.length) legend.append(element("span", { class: "is-unusual" }, say("unusual")));
  const label = say("trend_chart", { title: kpiText(kpi).title, first: dateText(shown.span.first), last: dateText(shown.span.last) });
  return drawTrend(container, { kpi, span: shown.span, now: shown.now, before, target: shown.target, unusual }, label);
}

const ruleText = (rule) => own(reader.words.page, `rule_${rule}`) ?? rule;
const anomalyText = (kpi, { day, observed, expected, rule }) =>
  say("unusual_day", { day: dateText(day, "short"), observed: show(kpi, observed), expected: show(kpi, expected), rule: ruleText(rule) });

// ---- drill-down ---------------------------------------------------------------------------------------------------------------

function fillDrill(page, kpi, shown, { column, parts, chosen }, panel) {
  slot(panel, "by").value = column;
  const container = slot(panel, "drill");
  const heaviest = [...parts].sort(([, one], [, other]) => Math.abs(other.weight ?? 0) - Math.abs(one.weight ?? 0)).slice(0, BARS_SHOWN);
  const rows = withChosen(heaviest, parts, chosen.get(column));
  rows.sort(([, one], [, other]) => (other.value - one.value) * (kpi.direction === "up" ? 1 : -1));
  slot(panel, "shown").textContent = parts.size > rows.length ? say("drill_top", { shown: plain(rows.length), total: plain(parts.size) }) : rows.length ? say("drill_hint") : "";
  if (!rows.length) return container.replaceChildren(element("p", { class: "empty" }, say(isComputed(kpi, chosen, column) ? "no_data" : "not_computed")));
  const label = say("drill_chart", { title: kpiText(kpi).title, dimension: dimensionName(column) });
  const mark = kpi.kind === "sum" ? null : kpi.target;
  return container.replaceChildren(bars(rows.map(([code, part]) => drillRow(page, kpi, { column, code, part, mark, chosen })), label));
}

const withChosen = (rows, parts, code) =>
  (code === undefined || !parts.has(code) || rows.some(([each]) => each === code) ? rows : [...rows.slice(0, -1), [code, parts.get(code)]]);

function drillRow(page, kpi, { column, code, part, mark, chosen }) {
  const dimension = page.dimensions[column];
  const pressed = chosen.get(column) === code;
  const name = valueName(column, dimension, code);
  return {
    key: `bar-${kpi.name}-${column}-${code}`, name, value: part.value, mark, pressed,
    kind: chosen.has(column) && !pressed ? "dimmed" : null,
    text: show(kpi, part.value, kpi.unit === "money_minor" && Math.abs(part.value) >= 1e8),
    title: say(pressed ? "filter_off" : "filter_on", { dimension: dimensionName(column), name }),
    onclick: () => choose({ [column]: pressed ? null : hashValue(dimension, code) }),
  };
}

// ---- tables ---------------------------------------------------------------------------------------------------------------------

function changeCell(kpi, value, previous) {
  const moved = changeOf(kpi, value, previous);
  return moved === null ? [NONE] : [`${arrow(kpi, moved)} ${showDifference(kpi, moved)}`, verdict(kpi, moved)];
}

function kpiTables(page, kpi, shown, { column, parts }, state) {
  const span = { title: kpiText(kpi).title, first: dateText(shown.span.first), last: dateText(shown.span.last) };
  const points = shown.now.map((now, index) => [bucketName(shown.span, index), [show(kpi, now)], [show(kpi, shown.before[index])], changeCell(kpi, now, shown.before[index])]);
  const made = [table(say("trend_table", span), [say("period"), say("value"), say("previous"), say("change")], points.reverse())];
  if (column) made.unshift(partsTable(page, kpi, { column, parts }, span));
  const unusual = anomaliesWithin(page, kpi, state.chosen, state.period);
  if (unusual.length) made.push(unusualTable(page, kpi, unusual, span));
  return made;
}

function partsTable(page, kpi, { column, parts }, span) {
  const total = [...parts.values()].reduce((all, part) => all + (part.weight ?? 0), 0);
  const share = (part) => [part.weight === null || !total ? NONE : percent(part.weight / total)];
  const ranked = [...parts].sort(([, one], [, other]) => Math.abs(other.weight ?? other.value) - Math.abs(one.weight ?? one.value));
  const rows = ranked.map(([code, part]) => [
    valueName(column, page.dimensions[column], code), [show(kpi, part.value)], [show(kpi, part.previous)], changeCell(kpi, part.value, part.previous), share(part),
  ]);
  const heads = [capital(dimensionName(column)), say("value"), say("previous"), say("change"), say(kpi.kind === "sum" ? "share" : "share_ratio")];
  return table(say("drill_table", { ...span, dimension: dimensionName(column) }), heads, rows);
}

function unusualTable(page, kpi, unusual, span) {
  const nameOf = ([column, id]) => {
    const dimension = page.dimensions[column];
    return dimension ? valueName(column, dimension, dimension.values.indexOf(id)) : id ?? say("not_assigned");
  };
  const rows = [...unusual].sort((one, other) => other.day.localeCompare(one.day)).slice(0, 40).map((one) => {
    const series = Object.entries(seriesOf(page, one)).map(nameOf).join(", ");
    return [dateText(one.day), [series || say("whole"), "text"], [show(kpi, one.observed)], [show(kpi, one.expected)], [ruleText(one.rule), "text"]];
  });
  return table(say("unusual_table", span), [say("day"), say("series"), say("observed"), say("expected"), say("why")], rows);
}
