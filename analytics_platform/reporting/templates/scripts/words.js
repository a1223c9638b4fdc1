// Words, numbers and dates in the reader's language. Text of the data is passed on as it is; nothing here makes markup.

const LOCALES = { en: "en-GB", nl: "nl-NL" };
const NONE = "\u2013";
const reader = { language: "en", locale: LOCALES.en, words: {}, formats: new Map() };

function speak(language, words) {
  Object.assign(reader, { language, locale: LOCALES[language], words, formats: new Map() });
}

const preferredLanguage = () =>
  (navigator.languages || [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in LOCALES) || "en";

const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const say = (key, values) => fill(reader.words.page[key], values);
const capital = (text) => text.charAt(0).toLocaleUpperCase(reader.locale) + text.slice(1);

// ---- names: the catalogue's in this language, else what the data says ------------------------------------------------

const own = (names, key) => (names && Object.hasOwn(names, key) ? names[key] : undefined);
const kpiText = (kpi) => reader.words.kpis[kpi.name];
const viewText = (view) => reader.words.views[view.name];
const measureName = (name) => own(reader.words.measures, name) ?? name.replace(/_/g, " ");
const dimensionName = (column) => own(reader.words.dimensions, column) ?? column.replace(/_/g, " ");

function valueName(column, { values, labels, others }, code) {
  if (others === code) return say("others");
  const words = own(reader.words.values, column);
  const id = values[code];
  if (id === null || id === undefined) return own(words, "") ?? say("not_assigned");
  return own(words, id) ?? labels[code] ?? id;
}

// ---- numbers ---------------------------------------------------------------------------------------------------------

function numberFormat(options) {
  const key = JSON.stringify(options);
  if (!reader.formats.has(key)) reader.formats.set(key, new Intl.NumberFormat(reader.locale, options));
  return reader.formats.get(key);
}
const number = (value, options) => numberFormat(options).format(value).replace("-", "\u2212");
const plain = (value, digits = 0) => number(value, { maximumFractionDigits: digits });
const percent = (fraction, digits = 1) =>
  number(fraction, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });

function money(minor, currency, compact) {
  const digits = numberFormat({ style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  const major = minor / 10 ** digits;
  const options = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
  if (compact && Math.abs(major) >= 10000) return number(major, { ...options, notation: "compact", maximumFractionDigits: 1 });
  const decimals = compact || Math.abs(major) >= 1000 || Number.isInteger(major) ? 0 : digits;
  return number(major, { ...options, minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

function duration(minutes) {
  const whole = Math.round(Math.abs(minutes));
  const sign = minutes < 0 && whole ? "\u2212" : "";
  const unit = (value, name) => number(value, { style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: 0 });
  const pair = (total, size, big, small) =>
    unit(Math.floor(total / size), big) + (total % size ? ` ${unit(total % size, small)}` : "");
  if (whole < 60) return sign + unit(whole, "minute");
  return sign + (whole < 2880 ? pair(whole, 60, "hour", "minute") : pair(Math.round(whole / 60), 24, "day", "hour"));
}

// `of` has a unit and, for money, a currency: a KPI, a view.
function show(of, value, compact = false) {
  if (value === null || value === undefined) return NONE;
  if (of.unit === "money_minor") return money(value, of.currency, compact);
  // Divided by 100, half of all halves would be rounded otherwise than in documents.
  if (of.unit === "percent") return number(value, { style: "unit", unit: "percent", minimumFractionDigits: compact ? 0 : 1, maximumFractionDigits: 1 });
  if (of.unit === "score") return number(value, { signDisplay: "exceptZero", maximumFractionDigits: compact ? 0 : 1 });
  if (of.unit === "minutes") return duration(value);
  return plain(value, Number.isInteger(value) ? 0 : 1);
}

const inPoints = (of) => of.unit === "percent" || of.unit === "score";

function showDifference(of, change) {
  const options = { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return inPoints(of) ? `${number(change, options)} ${say("points")}` : number(change, { style: "percent", ...options });
}

// What a reader would call no change: less than the last digit that is shown.
const isFlat = (of, change) => Math.abs(change) < (inPoints(of) ? 0.05 : 0.0005);
const verdict = (of, change) => (isFlat(of, change) ? "unchanged" : change > 0 === (of.direction === "up") ? "better" : "worse");
const arrow = (of, change) => (isFlat(of, change) ? "\u25B8" : change > 0 ? "\u25B2" : "\u25BC");

// ---- dates -----------------------------------------------------------------------------------------------------------

const DATES = {
  long: { weekday: "short", day: "numeric", month: "long", year: "numeric" },
  medium: { day: "numeric", month: "short", year: "numeric" },
  short: { day: "numeric", month: "short" },
};

function dateText(iso, length = "medium") {
  const key = `date ${length}`;
  if (!reader.formats.has(key)) reader.formats.set(key, new Intl.DateTimeFormat(reader.locale, { timeZone: "UTC", ...DATES[length] }));
  return reader.formats.get(key).format(new Date(`${iso.slice(0, 10)}T00:00:00Z`));
}
const spanText = (first, last) => `${dateText(first)} ${NONE} ${dateText(last)}`;
const dayAfter = (iso) => new Date(Date.parse(`${iso}T00:00:00Z`) + 864e5).toISOString().slice(0, 10);

// The days of one point of a trend.
function bucketName(span, index) {
  const until = span.until[index];
  const first = index ? dayAfter(span.until[index - 1]) : span.first;
  return first >= until ? dateText(until) : `${dateText(first, "short")} ${NONE} ${dateText(until)}`;
}
