// Reads the entries of the history, and derives periods, columns and counts from them.

const MAX_ENTRIES = 4096;

const LANES = [
  ["write", "Writes"],
  ["drift", "Drift"],
  ["backends", "Backends"],
  ["condition", "Conditions"],
  ["other", "Other"],
];

// Unknown kinds belong to the lane "other".
const KINDS = {
  write: ["write", "Write"],
  drift_found: ["drift", "Drift found"],
  drift_repaired: ["drift", "Drift repaired"],
  backends: ["backends", "Backends"],
  condition_begun: ["condition", "Condition"],
  condition_resolved: ["condition", "Resolved"],
  hns_liveness: ["other", "HNS"],
  hns_call: ["other", "HNS call"],
  api_server: ["other", "API server"],
  source_vip: ["other", "Source VIP"],
};

const LIVENESS_LEVELS = { up: "ok", slow: "wait", restarted: "wait", unavailable: "bad" };

function levelOf(entry) {
  if (entry.error) return "bad";
  switch (entry.kind) {
    case "drift_found":
    case "condition_begun":
      return "wait";
    case "hns_liveness":
      return LIVENESS_LEVELS[entry.liveness] ?? "wait";
    case "hns_call":
      return entry.returned ? "ok" : "bad";
    case "api_server":
      return entry.available ? "ok" : "bad";
    case "network":
      return entry.present ? "ok" : "bad";
    case "drift_repaired":
    case "condition_resolved":
      return "ok";
    default:
      return "info";
  }
}

function readEntry(document) {
  const { kind, time, message, service } = document;
  const [lane, label] = KINDS[kind] ?? ["other", words(kind)];
  // The page shows the Service beside the message.
  const text = service ? message.replace(` (Service ${service})`, "") : message;
  return { ...document, at: Date.parse(time), lane, label, text, level: levelOf(document) };
}

function addEntries(entries, documents) {
  return [...entries, ...documents.map(readEntry)].slice(-MAX_ENTRIES);
}

// The time of the last change to the current state, if the history has this change.
function since(entries, kind, isNow) {
  const last = entries.findLast((entry) => entry.kind === kind);
  return last && isNow(last) ? last.at : null;
}

// The periods between the changes of a state. When the process starts, at `started`, the state is `first`.
function periods(entries, kind, { first, started, stateOf, to }) {
  const changes = entries.filter((entry) => entry.kind === kind);
  const begin = started !== null && !changes.some((entry) => entry.at < started) ? [{ ...first, kind, at: started }] : [];
  return [...begin, ...changes].sort((one, other) => one.at - other.at).map((entry, index, all) => ({
    from: entry.at,
    to: all[index + 1]?.at ?? to,
    state: stateOf(entry),
    level: levelOf(entry),
  }));
}

// Groups the entries into columns of equal duration.
function columns(entries, from, to, number) {
  const width = (to - from) / number;
  const all = new Map();
  for (const entry of entries) {
    if (entry.at < from || entry.at > to) continue;
    const index = Math.min(number - 1, Math.floor((entry.at - from) / width));
    const column = all.get(index) ?? { from: from + index * width, to: from + (index + 1) * width, entries: [] };
    column.entries.push(entry);
    all.set(index, column);
  }
  return [...all.values()];
}

const SEVERITY = ["info", "ok", "wait", "bad"];

function worst(levels) {
  return SEVERITY[Math.max(0, ...levels.map((level) => SEVERITY.indexOf(level)))];
}

// Entries that a former version has saved have no number.
function objects({ count = 1 }) {
  return count;
}

function driftByCause(entries, unrepaired) {
  const causes = new Map();
  const of = (cause) => {
    if (!causes.has(cause)) causes.set(cause, { cause, now: 0, found: 0, repaired: 0, last: null });
    return causes.get(cause);
  };
  for (const [cause, objects] of Object.entries(unrepaired ?? {})) of(cause).now = objects;
  for (const entry of entries) {
    if (entry.kind === "drift_found") {
      of(entry.cause).found += objects(entry);
      of(entry.cause).last = entry.at;
    }
    if (entry.kind === "drift_repaired") of(entry.cause).repaired += objects(entry);
  }
  return [...causes.values()].sort((one, other) => other.now - one.now || other.found - one.found);
}

// Whether an entry names fewer addresses than it counts.
function unnamed({ added, removed, added_count: addedCount, removed_count: removedCount }) {
  return { added: addedCount > (added ?? []).length, removed: removedCount > (removed ?? []).length };
}

// When each backend was certainly one of its Service, if any has changed. One that was there at the start of the process has no entry for that. A large change
// does not name all addresses, so an address that is not named may have come or gone with it. `current` is null if it is not known.
function backendPeriods(entries, { start, now, current }) {
  const changes = entries.filter((entry) => entry.kind === "backends");
  if (changes.length === 0) return [];
  const lanes = new Map();
  let known = start;
  const of = (address) => {
    if (!lanes.has(address)) lanes.set(address, { address, periods: [], doubt: null });
    return lanes.get(address);
  };
  for (const entry of changes) {
    const missing = unnamed(entry);
    for (const address of entry.added ?? []) Object.assign(of(address), { doubt: null }).periods.push({ from: entry.at, to: now });
    for (const { address, reason } of entry.removed ?? []) {
      const lane = of(address);
      const last = lane.periods.at(-1);
      if (last?.to === now) Object.assign(last, { to: entry.at, reason });
      else lane.periods.push({ from: known, to: entry.at, reason });
    }
    if (missing.removed) for (const lane of lanes.values()) lane.doubt ??= entry.at;
    if (missing.added) known = entry.at;
  }
  if (current === null) return [...lanes.values()];
  for (const address of current) {
    const end = of(address).periods.at(-1)?.to;
    if (end !== now) of(address).periods.push({ from: Math.max(known, end ?? known), to: now });
  }
  for (const { address, periods: all, doubt } of lanes.values()) {
    const last = all.at(-1);
    if (last.to === now && !current.has(address)) last.to = doubt ?? now;
  }
  return [...lanes.values()];
}
