// Shows the figures that are embedded in this page. Computes nothing but differences and shares of what is written down;
// all text enters the page as text, never as markup. What readers choose is kept in the URL's hash.
(() => {
  "use strict";

  const page = JSON.parse(document.getElementById("figures").textContent);
  const words = page.words;
  const locale = /^nl\b/i.test(navigator.language) ? "nl-NL" : "en-GB";
  const BARS_SHOWN = 8;
  const charts = new Map();
  const NONE = "\u2013";

  // ---- words, numbers, dates ---------------------------------------------------------------------------------------

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const numberFormats = new Map();
  const number = (value, options) => {
    const key = JSON.stringify(options);
    if (!numberFormats.has(key)) numberFormats.set(key, new Intl.NumberFormat(locale, options));
    return numberFormats.get(key).format(value).replace("-", "\u2212");
  };
  const plain = (value, digits = 0) => number(value, { maximumFractionDigits: digits });
  const dateFormat = (options) => {
    const format = new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
    return (iso) => format.format(new Date(`${iso}T00:00:00Z`));
  };
  const longDate = dateFormat({ weekday: "short", day: "numeric", month: "long", year: "numeric" });
  const mediumDate = dateFormat({ day: "numeric", month: "short", year: "numeric" });
  const shortDate = dateFormat({ day: "numeric", month: "short" });

  function money(minor, currency, compact) {
    const digits = new Intl.NumberFormat(locale, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
    const major = minor / 10 ** digits;
    const options = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
    if (compact && Math.abs(major) >= 10000) return number(major, { ...options, notation: "compact", maximumFractionDigits: 1 });
    const decimals = compact || Math.abs(major) >= 1000 ? 0 : digits;
    return number(major, { ...options, minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  }

  function duration(minutes) {
    const whole = Math.round(Math.abs(minutes));
    const sign = minutes < 0 && whole ? "\u2212" : "";
    const unit = (value, name) => number(value, { style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: 0 });
    const pair = (size, big, small) => {
      const rest = whole % size;
      return unit(Math.floor(whole / size), big) + (rest ? ` ${unit(rest, small)}` : "");
    };
    if (whole < 60) return sign + unit(whole, "minute");
    if (whole < 2880) return sign + pair(60, "hour", "minute");
    const hours = Math.round(whole / 60);
    return sign + unit(Math.floor(hours / 24), "day") + (hours % 24 ? ` ${unit(hours % 24, "hour")}` : "");
  }

  function show(kpi, value, compact = false) {
    if (value === null || value === undefined) return NONE;
    if (kpi.unit === "money_minor") return money(value, kpi.currency, compact);
    if (kpi.unit === "percent") return number(value / 100, { style: "percent", minimumFractionDigits: compact ? 0 : 1, maximumFractionDigits: 1 });
    if (kpi.unit === "score") return number(value, { signDisplay: "exceptZero", maximumFractionDigits: compact ? 0 : 1 });
    if (kpi.unit === "minutes") return duration(value);
    return plain(value);
  }

  function showDifference(kpi, change) {
    if (kpi.unit === "percent" || kpi.unit === "score")
      return `${number(change, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 })} ${words.points}`;
    return number(change, { style: "percent", signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  }

  // What a reader would call no change: less than the last digit that is shown.
  const isFlat = (kpi, change) => Math.abs(change) < (kpi.unit === "percent" || kpi.unit === "score" ? 0.05 : 0.0005);
  const verdict = (kpi, change) => (isFlat(kpi, change) ? "unchanged" : change > 0 === (kpi.direction === "up") ? "better" : "worse");
  const arrow = (kpi, change) => (isFlat(kpi, change) ? "\u25B8" : change > 0 ? "\u25B2" : "\u25BC");

  const differenceOf = (kpi, value, previous) => {
    if (value === null || previous === null || previous === undefined) return null;
    if (kpi.unit === "percent" || kpi.unit === "score") return value - previous;
    return previous === 0 ? null : (value - previous) / Math.abs(previous);
  };

  // ---- small DOM helpers -------------------------------------------------------------------------------------------

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ---- state in the hash -------------------------------------------------------------------------------------------

  const periodKeys = [...document.querySelectorAll("#period input")].map((input) => input.value);

  function readState() {
    const chosen = new URLSearchParams(location.hash.slice(1));
    const period = periodKeys.includes(chosen.get("period")) ? chosen.get("period") : page.default_period;
    const by = {};
    for (const kpi of page.kpis) {
      const columns = Object.keys(kpi.periods[period].parts);
      by[kpi.name] = columns.includes(chosen.get(kpi.name)) ? chosen.get(kpi.name) : columns[0];
    }
    return { period, by };
  }

  function choose(name, value) {
    const chosen = new URLSearchParams(location.hash.slice(1));
    chosen.set(name, value);
    history.replaceState(null, "", `#${chosen}`);
    render();
  }

  // ---- cards -------------------------------------------------------------------------------------------------------

  function renderCard(kpi, data) {
    const card = document.querySelector(`[data-card="${kpi.name}"]`);
    const value = slot(card, "value");
    value.textContent = data.value === null ? words.none_shown : show(kpi, data.value);
    value.classList.toggle("none", data.value === null);
    renderChange(kpi, data, slot(card, "change"));
    renderTarget(kpi, data.value, slot(card, "target"));
    renderNote(kpi, data, slot(card, "note"));
  }

  function renderChange(kpi, data, line) {
    line.className = "change";
    line.replaceChildren();
    if (data.value === null) return;
    if (data.change === null) {
      line.append(data.previous === null ? words.no_comparison : fill(words.versus, { previous: show(kpi, data.previous) }));
      return;
    }
    const judged = verdict(kpi, data.change);
    line.classList.add(judged);
    const symbol = element("span", `${arrow(kpi, data.change)} `);
    symbol.setAttribute("aria-hidden", "true");
    const moved = element("b");
    moved.append(symbol, judged === "unchanged" ? words.unchanged : showDifference(kpi, data.change));
    line.append(moved, element("span", judged === "unchanged" ? "" : ` ${words[judged]}`, "visually-hidden"),
      ` ${fill(words.versus, { previous: show(kpi, data.previous) })}`);
  }

  // Judged as shown, so that no figure that reads like its target is called short of it.
  function meets(kpi, value) {
    const shown = kpi.unit === "money_minor" ? value : Math.round(value * 10) / 10;
    return kpi.direction === "up" ? shown >= kpi.target : shown <= kpi.target;
  }

  function renderTarget(kpi, value, line) {
    line.replaceChildren();
    if (kpi.target === null) return;
    line.append(fill(words.target_value, { target: show(kpi, kpi.target, true) }));
    if (value === null) return;
    const met = meets(kpi, value);
    line.append(" \u00B7 ", element("b", `${met ? "\u2713 " : "\u2717 "}${met ? words.on_target : words.below_target}`, met ? "met" : "missed"));
  }

  function renderNote(kpi, data, line) {
    const span = { first: mediumDate(data.first), last: mediumDate(data.last), days: kpi.maturity };
    const late = kpi.as_of !== null && kpi.as_of < page.day;
    const incomplete = !kpi.snapshot && data.days_published < data.days;
    const said = fill(kpi.maturity ? words.cohorts : kpi.snapshot ? words.snapshot_period : words.flow_period, span);
    const published = fill(words.incomplete, { present: plain(data.days_published), days: plain(data.days) });
    line.classList.toggle("late", late);
    if (late) line.textContent = fill(words.as_of_late, { date: mediumDate(kpi.as_of) });
    else line.textContent = incomplete ? `${said} \u00B7 ${published}` : said;
  }

  // ---- charts ------------------------------------------------------------------------------------------------------

  function chartIn(container) {
    if (!charts.has(container)) {
      container.replaceChildren();
      charts.set(container, echarts.init(container, null, { renderer: "svg" }));
    }
    return charts.get(container);
  }

  function dropChart(container) {
    if (charts.has(container)) charts.get(container).dispose();
    charts.delete(container);
    container.replaceChildren();
  }

  function draw(container, hasData, label, option, height) {
    container.setAttribute("aria-label", label);
    container.classList.toggle("empty", !hasData);
    if (!hasData) {
      dropChart(container);
      container.textContent = words.no_data;
      container.style.height = "";
      return;
    }
    container.style.height = height ? `${height}px` : "";
    const chart = chartIn(container);
    chart.setOption({ animation: false, ...option }, { notMerge: true });
    chart.resize();
  }

  const STEPS = { minutes: [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 4320, 7200, 14400, 28800] };

  // A scale of round steps that holds the values; bars start at zero, lines may not.
  function scaleFor(kpi, values, fromZero) {
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (fromZero) { low = Math.min(0, low); high = Math.max(0, high); }
    if (low === high) { const room = Math.abs(low) * 0.1 || 1; high += room; if (!fromZero || low < 0) low -= room; }
    const step = roundStep(kpi, (high - low) / 3.5);
    let min = Math.floor(low / step + 1e-9) * step;
    let max = Math.ceil(high / step - 1e-9) * step;
    if (kpi.unit === "percent") max = Math.min(max, Math.max(100, high));
    if (kpi.unit !== "score" && low >= 0) min = Math.max(0, min);
    return { min, max, interval: step };
  }

  function roundStep(kpi, rough) {
    const listed = (STEPS[kpi.unit] || []).find((step) => step >= rough);
    if (listed) return listed;
    const power = 10 ** Math.floor(Math.log10(rough));
    const whole = kpi.unit === "count" ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
    const step = whole.find((factor) => factor * power >= rough) * power;
    return kpi.unit === "count" ? Math.max(1, step) : step;
  }

  function tip(heading, lines) {
    const box = element("div", undefined, "tip");
    box.append(element("b", heading));
    for (const [text, aside] of lines) {
      const line = element("div", text);
      if (aside) line.append(" ", element("i", aside));
      box.append(line);
    }
    return box;
  }

  const tooltipStyle = () => ({
    confine: true, backgroundColor: css("--card"), borderColor: css("--line"), borderWidth: 1, padding: [8, 12],
    extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / .14); border-radius: 6px;",
  });
  const text = (size = 12) => ({ color: css("--muted"), fontSize: size, fontFamily: css("--sans") });

  function bucketName(data, index) {
    const until = data.trend.until[index];
    if (data.trend.days === 1) return mediumDate(until);
    const first = index ? addDays(data.trend.until[index - 1], 1) : data.first;
    return `${shortDate(first)} ${NONE} ${mediumDate(until)}`;
  }
  const addDays = (iso, days) => new Date(Date.parse(`${iso}T00:00:00Z`) + days * 864e5).toISOString().slice(0, 10);

  function renderTrend(kpi, data, panel) {
    const known = data.trend.value.filter((value) => value !== null);
    const before = data.trend.previous.some((value) => value !== null);
    const label = fill(words.trend_chart, { title: kpi.title, first: mediumDate(data.first), last: mediumDate(data.last) });
    renderLegend(kpi, panel, known.length > 0, before);
    draw(slot(panel, "trend"), known.length > 0, label, known.length ? trendOption(kpi, data, before, slot(panel, "trend").clientWidth) : {});
  }

  function renderLegend(kpi, panel, hasData, before) {
    const legend = slot(panel, "legend");
    legend.replaceChildren();
    if (!hasData) return;
    legend.append(element("span", words.this_period, kpi.shape === "bar" ? "bars" : "now"));
    if (before) legend.append(element("span", words.before, kpi.shape === "bar" ? "tick" : "before"));
    if (kpi.target !== null) legend.append(element("span", fill(words.target_value, { target: show(kpi, kpi.target, true) }), "goal"));
  }

  function trendOption(kpi, data, before, width) {
    const target = kpi.target;
    const { value: now, previous, until } = data.trend;
    const drawn = [...now, ...(before ? previous : []), ...(target === null ? [] : [target])].filter((value) => value !== null);
    return {
      grid: { left: 4, right: 14, top: 12, bottom: 8, containLabel: true },
      tooltip: { ...tooltipStyle(), trigger: "axis", axisPointer: { type: "line", lineStyle: { color: css("--before"), width: 1, type: "solid" } }, formatter: (points) => trendTip(kpi, data, points[0].dataIndex, before) },
      xAxis: { type: "category", data: until.map((day) => shortDate(day)), boundaryGap: kpi.shape === "bar", axisTick: { show: false }, axisLine: { lineStyle: { color: css("--line") } }, axisLabel: { ...text(), hideOverlap: true, alignMinLabel: kpi.shape === "bar" ? null : "left", alignMaxLabel: kpi.shape === "bar" ? null : "right" } },
      yAxis: { type: "value", ...scaleFor(kpi, drawn, kpi.shape === "bar"), axisLabel: { ...text(), formatter: (value) => show(kpi, value, true) }, splitLine: { lineStyle: { color: css("--grid") } } },
      series: [
        ...(before ? [previousSeries(kpi, previous, width)] : []),
        { ...mainSeries(kpi, now), markLine: targetLine(kpi, target) },
      ],
    };
  }

  // Beside a line the period before is a thinner line; on bars it is a tick across each.
  function previousSeries(kpi, values, width) {
    const shared = { type: "line", data: values, smooth: false, silent: true };
    if (kpi.shape === "line") return { ...shared, symbol: "none", z: 1, lineStyle: { color: css("--before"), width: 1.25 } };
    return { ...shared, symbol: "rect", symbolSize: [(0.55 * width) / values.length, 2.5], showAllSymbol: true, z: 4, lineStyle: { width: 0 }, itemStyle: { color: css("--tick") } };
  }

  function mainSeries(kpi, values) {
    if (kpi.shape === "bar") return { type: "bar", data: values, barCategoryGap: "32%", itemStyle: { color: css("--bar") }, z: 0 };
    const last = values.reduce((found, value, index) => (value === null ? found : index), -1);
    const alone = (index) => (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
    const size = (_, point) => (point.dataIndex === last ? 8 : values.length <= 13 || alone(point.dataIndex) ? 4.5 : 0);
    return { type: "line", data: values, smooth: false, connectNulls: false, symbol: "circle", symbolSize: size, showAllSymbol: true, z: 3, lineStyle: { color: css("--bar"), width: 2.25 }, itemStyle: { color: css("--bar") } };
  }

  const targetLine = (kpi, target, axis = "yAxis") => (target === null ? undefined : {
    silent: true, symbol: "none", data: [{ [axis]: target }], lineStyle: { color: css("--target"), type: "dashed", width: 1.25 }, label: { show: false },
  });

  function trendTip(kpi, data, index, before) {
    const lines = [[show(kpi, data.trend.value[index])]];
    if (before && data.trend.previous[index] !== null) lines.push([show(kpi, data.trend.previous[index]), words.before]);
    if (kpi.target !== null) lines.push([show(kpi, kpi.target), words.target]);
    return tip(bucketName(data, index), lines);
  }

  const nameOf = (parts, index) => (index < parts.label.length ? parts.label[index] ?? words.not_named : fill(words.others, { count: plain(parts.others) }));

  function renderDrill(kpi, data, column, panel) {
    const container = slot(panel, "drill");
    if (!container) return;
    const parts = data.parts[column];
    const rows = parts.label.map((_, index) => index).filter((index) => parts.value[index] !== null).slice(0, BARS_SHOWN);
    rows.sort((one, other) => (parts.value[other] - parts.value[one]) * (kpi.direction === "up" ? 1 : -1));
    const all = parts.label.filter((_, index) => parts.value[index] !== null).length + parts.others;
    slot(panel, "shown").textContent = all > rows.length && rows.length ? fill(words.drill_top, { shown: plain(rows.length), total: plain(all) }) : "";
    slot(panel, "by").value = column;
    const label = fill(words.drill_chart, { title: kpi.title, dimension: parts.dimension });
    draw(container, rows.length > 0, label, rows.length ? drillOption(kpi, parts, rows, container.clientWidth) : {}, rows.length * 30 + 8);
  }

  function drillOption(kpi, parts, rows, width) {
    const target = kpi.additive ? null : kpi.target;
    const values = rows.map((index) => parts.value[index]);
    const reach = [0, ...values, ...(target === null ? [] : [target])];
    const names = Math.max(90, Math.min(190, width * 0.32));
    const category = { type: "category", inverse: true, axisTick: { show: false }, axisLine: { show: false } };
    const label = { ...text(12.5), color: css("--ink") };
    return {
      grid: { left: names + 10, right: 82, top: 2, bottom: 2 },
      tooltip: { ...tooltipStyle(), trigger: "axis", axisPointer: { type: "none" }, formatter: (points) => drillTip(kpi, parts, rows[points[0].dataIndex]) },
      xAxis: { type: "value", min: Math.min(...reach), max: Math.max(...reach) || 1, show: false },
      yAxis: [
        { ...category, data: rows.map((index) => nameOf(parts, index)), position: "left", axisLabel: { ...label, width: names, overflow: "truncate", margin: 10 }, axisLine: { show: true, onZero: true, lineStyle: { color: css("--line") } } },
        // The values stand in a column of their own, where no bar or target line crosses them.
        { ...category, data: values.map((value) => show(kpi, value, kpi.unit === "money_minor" && Math.abs(value) >= 1e8)), position: "right", axisLabel: { ...label, margin: 80, align: "right" } },
      ],
      series: [{ type: "bar", data: values, barWidth: 14, itemStyle: { color: css("--bar") }, markLine: targetLine(kpi, target, "xAxis") }],
    };
  }

  function drillTip(kpi, parts, index) {
    const lines = [[show(kpi, parts.value[index])]];
    if (parts.previous[index] !== null) lines.push([show(kpi, parts.previous[index]), words.before]);
    lines.push([shareOf(parts, index), (kpi.additive ? words.share : words.share_ratio).toLowerCase()]);
    return tip(nameOf(parts, index), lines);
  }

  function shareOf(parts, index) {
    const total = parts.weight.reduce((sum, weight) => sum + (weight ?? 0), 0);
    return total ? number((parts.weight[index] ?? 0) / total, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }) : NONE;
  }

  // ---- tables ------------------------------------------------------------------------------------------------------

  function table(caption, heads, rows) {
    const made = element("table");
    made.append(element("caption", caption));
    const head = made.createTHead().insertRow();
    for (const name of heads) { const cell = element("th", name); cell.scope = "col"; head.append(cell); }
    const body = made.createTBody();
    for (const [name, ...cells] of rows) {
      const row = body.insertRow();
      const first = element("th", name);
      first.scope = "row";
      row.append(first, ...cells.map(([content, className]) => element("td", content, className)));
    }
    const box = element("div", undefined, "scroll");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", caption);
    box.append(made);
    return box;
  }

  function changeCell(kpi, value, previous) {
    const moved = differenceOf(kpi, value, previous);
    if (moved === null) return [NONE];
    return [`${arrow(kpi, moved)} ${showDifference(kpi, moved)}`, verdict(kpi, moved)];
  }

  function renderTables(kpi, data, column, panel) {
    const box = slot(panel, "tables");
    box.replaceChildren(box.querySelector("summary"));
    if (!box.open) return;
    const span = { title: kpi.title, first: mediumDate(data.first), last: mediumDate(data.last) };
    if (column) {
      const parts = data.parts[column];
      const rows = parts.value.map((value, index) => [
        nameOf(parts, index), [show(kpi, value)], [show(kpi, parts.previous[index])], changeCell(kpi, value, parts.previous[index]), [shareOf(parts, index)],
      ]);
      box.append(table(fill(words.drill_table, { ...span, dimension: parts.dimension }),
        [parts.dimension.charAt(0).toUpperCase() + parts.dimension.slice(1), words.value, words.previous, words.change, kpi.additive ? words.share : words.share_ratio], rows));
    }
    const { value, previous } = data.trend;
    const points = value.map((now, index) => [bucketName(data, index), [show(kpi, now)], [show(kpi, previous[index])], changeCell(kpi, now, previous[index])]);
    box.append(table(fill(words.trend_table, span), [words.period, words.value, words.previous, words.change], points.reverse()));
  }

  // ---- the page ----------------------------------------------------------------------------------------------------

  // Tenants side by side: each KPI's drill-down by tenant as one column.
  function renderMatrix(period) {
    const box = document.getElementById("matrix");
    if (!box) return;
    const columns = page.kpis.map((kpi) => ({ kpi, parts: kpi.periods[period].parts.tenant_id }));
    const names = [...new Set(columns.flatMap(({ parts }) => parts.label.map((label) => label ?? words.not_named)))];
    const rows = names.map((name) => [name, ...columns.map(({ kpi, parts }) => matrixCell(kpi, parts, parts.label.indexOf(name)))]);
    rows.sort((one, other) => one[0].localeCompare(other[0], locale));
    box.replaceChildren(table(words.matrix, [words.tenant, ...columns.map(({ kpi }) => kpi.title)], rows));
  }

  function matrixCell(kpi, parts, index) {
    if (index < 0 || parts.value[index] === null) return [NONE];
    const value = parts.value[index];
    if (kpi.additive || kpi.target === null) return [show(kpi, value)];
    return meets(kpi, value) ? [`${show(kpi, value)} \u2713`, "better"] : [`${show(kpi, value)} \u2717`, "worse"];
  }

  function renderPanel(kpi, data, column) {
    const panel = document.querySelector(`[data-panel="${kpi.name}"]`);
    slot(panel, "span").textContent = `${mediumDate(data.first)} ${NONE} ${mediumDate(data.last)}`;
    renderTrend(kpi, data, panel);
    renderDrill(kpi, data, column, panel);
    renderTables(kpi, data, column, panel);
  }

  function render() {
    const state = readState();
    document.getElementById(`period-${state.period}`).checked = true;
    for (const kpi of page.kpis) {
      renderCard(kpi, kpi.periods[state.period]);
      renderPanel(kpi, kpi.periods[state.period], state.by[kpi.name]);
    }
    renderMatrix(state.period);
    for (const link of document.querySelectorAll("[data-keeps-hash]")) link.hash = `period=${state.period}`;
  }

  function renderAsOf() {
    const known = page.kpis.map((kpi) => kpi.as_of).filter((day) => day !== null).sort();
    document.getElementById("as-of").textContent = known.length ? fill(words.as_of, { date: longDate(known[0]) }) : words.no_data;
  }

  function listen() {
    document.getElementById("period").addEventListener("change", (event) => choose("period", event.target.value));
    for (const kpi of page.kpis) {
      const panel = document.querySelector(`[data-panel="${kpi.name}"]`);
      slot(panel, "by")?.addEventListener("change", (event) => choose(kpi.name, event.target.value));
      slot(panel, "tables").addEventListener("toggle", () => {
        const state = readState();
        renderTables(kpi, kpi.periods[state.period], state.by[kpi.name], panel);
      });
    }
    for (const link of document.querySelectorAll("[data-scrolls]"))
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const panel = document.querySelector(link.getAttribute("href"));
        panel.scrollIntoView();
        panel.focus({ preventScroll: true });
      });
    for (const hint of document.querySelectorAll(".hint")) {
      hint.addEventListener("keydown", (event) => { if (event.key === "Escape") hint.classList.add("dismissed"); });
      for (const back of ["mouseleave", "focusout"]) hint.addEventListener(back, () => hint.classList.remove("dismissed"));
    }
    addEventListener("hashchange", render);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
    const print = (on) => () => { document.documentElement.classList.toggle("printing", on); render(); };
    addEventListener("beforeprint", print(true));
    addEventListener("afterprint", print(false));
    let frame = 0;
    addEventListener("resize", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(render); });
  }

  renderAsOf();
  listen();
  render();
})();
