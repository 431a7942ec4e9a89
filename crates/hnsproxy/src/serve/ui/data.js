// The data of the page, and the requests that update it.

const TIMEOUT = 5000;
const HISTORY_LIMIT = 1000;
const LIST_LIMIT = 100;

const data = {
  state: null,
  calls: null,
  pending: null,
  networks: null,
  entries: [],
  sequence: null,
  process: undefined,
  dropped: 0,
  // The difference between the clocks of the node and of this computer.
  skew: 0,
  link: { since: null, last: null, error: "" },
  restarted: null,
  list: { page: null, before: [], after: null, query: "", problems: false, limit: LIST_LIMIT },
  detail: null,
  filter: { lane: "all", failed: false, text: "" },
  shown: 200,
  span: "15",
};

// The current time on the clock of the node. All times on the page are from this clock.
function nodeTime() {
  return Date.now() + data.skew;
}

// hnsproxy refuses a request, for example because of its parameters.
class Refused extends Error {}
class NoAnswer extends Error {}

// Paths are relative to this page, so that the page also works behind a proxy that adds a path prefix.
async function get(path) {
  try {
    return await answer(path);
  } catch (error) {
    throw error instanceof Refused ? error : new NoAnswer(error.message);
  }
}

async function answer(path) {
  const response = await fetch(`../${path}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  const date = Date.parse(response.headers.get("date"));
  if (!Number.isNaN(date)) data.skew = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const body = await response.text();
  // `/readyz` has code 503 while the node is not ready.
  if (!response.ok && !body.startsWith("{")) throw new Refused(body.trim() || `code ${response.status}`);
  if (response.status === 404) throw new Refused(JSON.parse(body).message);
  return JSON.parse(body);
}

let statusPath = "statusz?format=json";

async function readState() {
  try {
    data.state = await get(statusPath);
  } catch (error) {
    // `/statusz` can be disabled. It is preferred because it also contains the start time of the process.
    if (!(error instanceof Refused) || statusPath === "readyz") throw error;
    statusPath = "readyz";
    data.state = await get(statusPath);
  }
}

function forget() {
  data.entries = [];
  data.sequence = null;
}

async function readHistory() {
  for (;;) {
    const from = data.sequence === null ? "" : `&since=${data.sequence}`;
    const page = await get(`debug/history?limit=${HISTORY_LIMIT}${from}`);
    if (isRestarted(page)) {
      data.restarted = nodeTime();
      forget();
      continue;
    }
    data.process = page.process?.started;
    data.entries = addEntries(data.entries, page.entries);
    data.dropped = page.dropped;
    data.sequence = page.entries.at(-1)?.sequence ?? page.last_sequence;
    if (data.sequence >= page.last_sequence) return;
  }
}

// Sequences restart at a restart of the process, unless the history is saved.
function isRestarted({ process, last_sequence: last }) {
  return data.sequence !== null && (process?.started !== data.process || last < data.sequence);
}

// The request for the part of the list that is selected.
function servicesPath(list) {
  const parameters = new URLSearchParams({ limit: list.limit });
  if (list.after) parameters.set("continue", list.after);
  if (list.query) parameters.set("q", list.query);
  if (list.problems) parameters.set("state", "problem");
  return `debug/services?${parameters}`;
}

async function readServices() {
  const { list } = data;
  const [path, first] = [servicesPath(list), list.before.length * list.limit];
  list.page = { ...await get(path), path, first };
}

// Only the view of one Service needs it, so nothing waits for it.
async function readDetail(detail) {
  if (detail.isReading) return;
  detail.isReading = true;
  try {
    const events = await get(`debug/history?limit=${HISTORY_LIMIT}&service=${encodeURIComponent(detail.service)}`);
    detail.entries = addEntries([], events.entries);
    detail.document = await get(`debug/services/${detail.service.split("/").map(encodeURIComponent).join("/")}`);
    detail.error = null;
  } catch (error) {
    detail.error = error instanceof Refused ? error.message : "no response";
  } finally {
    detail.isReading = false;
  }
}

async function readCalls() {
  data.calls = await get("debug/hns");
}

async function readPending() {
  data.pending = await get("debug/pending");
}

async function readNetworks() {
  data.networks = await get("debug/networks");
}

// The requests of each view, in addition to the state and the history.
const READERS = {
  overview: [],
  services: [readServices],
  pending: [readPending],
  history: [],
  hns: [],
  networks: [readNetworks],
  drift: [],
};

// If a request is refused, for example because there are too many requests, the previous data stays. Any response shows that hnsproxy runs.
async function refresh(view) {
  const readers = [readState, readHistory, readCalls, ...READERS[view]];
  const results = await Promise.allSettled(readers.map((read) => read()));
  const failures = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  const broken = failures.find((error) => error instanceof NoAnswer);
  const [state] = results;
  if (broken || state.status === "rejected") {
    const error = broken ? `No response from ${location.host}` : state.reason.message;
    data.link = { ...data.link, since: data.link.since ?? nodeTime(), error };
  } else {
    data.link = { since: null, last: nodeTime(), error: failures[0]?.message ?? "" };
  }
  const defect = failures.find((error) => !(error instanceof Refused || error instanceof NoAnswer));
  if (defect) throw defect;
}
