// Elements that several views use.

// The number of events in a list, and the number that the button adds.
const PAGE = 200;

const SIGNS = { ok: "\u2713", wait: "\u25cb", bad: "\u2715", info: "\u00b7" };

// The sign repeats the meaning of the colour, so that the colour is not required.
function badge(level, text) {
  return h("span", { class: `state ${level}` }, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[level]), text);
}

function panel(title, ...content) {
  return h("div", { class: "panel", "data-key": title }, h("h2", null, title), content);
}

function empty(text) {
  return h("p", { class: "empty" }, text);
}

// The region scrolls if the table is wider than the page.
function table(label, columns, rows) {
  const head = columns.map(([title, style]) => h("th", { scope: "col", class: style }, title));
  return h("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": label, "data-key": label },
    h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows)));
}

function cell(style, ...content) {
  return h("td", { class: style }, content);
}

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.map(([name, ...value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

function button(action, text, attributes) {
  return h("button", { type: "button", "data-action": action, ...attributes }, text);
}

function serviceLink(service) {
  return h("a", { href: servicePath(service) }, service);
}

function entryRow(entry, now) {
  const subject = entry.service ? serviceLink(entry.service) : null;
  const took = entry.duration_seconds === undefined ? null : h("span", { class: "took" }, seconds(entry.duration_seconds));
  return h("li", { "data-key": entry.sequence },
    h("time", { datetime: entry.time, title: entry.time }, clock(entry.at, now)),
    badge(entry.level, entry.label),
    h("span", { class: "message" }, entry.text, entry.error ? h("span", { class: "error" }, ` ${entry.error}`) : null, " ", took),
    h("span", { class: "subject" }, subject));
}

// The newest entry is the first.
function entryList(entries, now) {
  return h("ol", { class: "entries" }, entries.toReversed().map((entry) => entryRow(entry, now)));
}

function periodTip(text, { from, to }, now) {
  return `${text}\n${clock(from, now)} to ${to === now ? "now" : clock(to, now)}, ${seconds((to - from) / 1000)}`;
}

function stateBands(entries, kind, how, now) {
  return periods(entries, kind, { ...how, to: now }).map((one) => ({ ...one, tip: periodTip(one.state, one, now) }));
}

function livenessLane({ entries, started, now }) {
  const how = { first: { liveness: "up" }, started, stateOf: (entry) => LIVENESS[entry.liveness] ?? entry.liveness };
  return { name: "HNS", bands: stateBands(entries, "hns_liveness", how, now) };
}

function apiServerLane({ entries, started, now }) {
  const stateOf = (entry) => (entry.available ? "API server available" : "API server unavailable");
  return { name: "API server", bands: stateBands(entries, "api_server", { first: { available: true }, started, stateOf }, now) };
}

function columnTip(column, now) {
  const kinds = Object.groupBy(column.entries, (entry) => entry.label);
  const counts = Object.entries(kinds).map(([label, all]) => `${label}: ${number(all.length)}`);
  const failed = column.entries.filter((entry) => entry.error).length;
  const one = column.entries.length === 1 ? [column.entries[0].message] : [];
  const span = `${clock(column.from, now)} to ${clock(column.to, now)}`;
  return [span, ...counts, ...(failed ? [`failed: ${number(failed)}`] : []), ...one].join("\n");
}

function countLanes(entries, from, to, width) {
  const parts = Math.max(20, Math.floor((width - 120) / 5));
  return LANES.map(([lane, name]) => ({
    name,
    columns: columns(entries.filter((entry) => entry.lane === lane), from, to, parts).map((column) => ({
      from: column.from,
      to: column.to,
      value: column.entries.length,
      level: worst(column.entries.map((entry) => entry.level)),
      tip: columnTip(column, to),
    })),
  })).filter((lane) => lane.columns.length > 0);
}

const SPANS = [
  ["15", "15 min", 15 * MINUTE],
  ["60", "1 h", HOUR],
  ["360", "6 h", 6 * HOUR],
  ["all", "All", Infinity],
];

// The span is at least 20 s, and does not begin before the oldest data.
function spanOf({ entries, started, span, now }) {
  const length = SPANS.find(([name]) => name === span)[2];
  const first = Math.min(entries[0]?.at ?? now, started ?? now);
  return { from: Math.min(Math.max(now - length, first), now - 20_000), to: now };
}

function choices(name, action, options, chosen) {
  return h("div", { class: "choices", role: "group", "aria-label": name }, options.map(([value, text]) =>
    button(action, text, { "data-value": value, "aria-pressed": String(value === chosen) })));
}

function timeline(model, entries, label) {
  const { now, width } = model;
  const { from, to } = spanOf(model);
  const shown = entries.filter((entry) => entry.at >= from);
  const lanes = [livenessLane(model), ...(isFromFiles(model.state) ? [] : [apiServerLane(model)])];
  const summary = `${label}: ${plural(shown.length, "event")} from ${clock(from, now)} to ${clock(to, now)}. The list below shows them.`;
  return laneChart({ from, to, width, label: summary, lanes: [...lanes, ...countLanes(shown, from, to, width)] });
}
