// Draws the page from the data, handles input, and requests new data every 2 s.

const INTERVAL = 2000;
// A page in a hidden tab does not need current data.
const HIDDEN_INTERVAL = 30_000;

const $ = (id) => document.getElementById(id);
const LEVELS = { ok: "OK", wait: "Waiting", bad: "Problem", info: "" };
let announced = null;
let timer = null;
let reading = false;

// A user can type any text after the `#`.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function route() {
  const [view, ...service] = location.hash.slice(1).split("/").map(decoded);
  const known = VIEWS.find(([name]) => name === view) ?? VIEWS[0];
  return { view: known[0], draw: known[2], service: known[0] === "services" && service.length === 2 ? service.join("/") : null };
}

function drawHead(model) {
  const head = headline(model);
  const { state: known, link } = model;
  document.documentElement.dataset.level = head.level;
  document.documentElement.dataset.link = link.since === null ? "up" : "down";
  document.title = [head.title, known?.node.name, "hnsproxy"].filter(Boolean).join(" - ");
  show($("headline"), badge(head.level, head.title), head.age ? h("span", { class: "age" }, head.age) : null);
  show($("detail"), head.detail);
  show($("node"), known?.node.name ?? "");
  show($("link"), link.since === null
    ? link.last === null ? "" : link.error ? `live, but some data is missing: ${link.error}` : "live"
    : link.last === null ? "no response" : `last response ${clock(link.last, model.now)}`);
  if (announced !== head.kind) {
    announced = head.kind;
    show($("announcement"), [LEVELS[head.level], head.title].filter(Boolean).join(": "));
  }
  const notice = $("notice");
  notice.hidden = model.restarted === null;
  show(notice, notice.hidden ? null
    : [`hnsproxy has restarted. The restart was detected at ${clock(model.restarted, model.now)}. `, button("dismiss", "Dismiss")]);
}

function drawTiles(model) {
  const cards = model.state ? tiles(model) : [];
  show($("tiles"), cards.map(({ label, value, note, level, view }) =>
    h("a", { class: `tile ${level}`, href: `#${view}`, "data-key": label },
      h("span", { class: "label" }, label),
      h("span", { class: "value" }, badge(level, value)),
      h("span", { class: "note" }, note))));
}

function footer({ state: known }) {
  const own = known?.process;
  return own ? `hnsproxy ${own.hnsproxy_version}, as kube-proxy ${own.version}, started ${clock(Date.parse(own.started), Date.now())} (${seconds(own.uptime_seconds)} ago). Times are those of this browser.` : "";
}

// An error in one view must not end the page: the reader sees it, and the next answer is drawn again.
function draw() {
  try {
    drawAll();
  } catch (error) {
    report(error);
  }
}

function report(error) {
  console.error(error);
  const notice = $("notice");
  notice.hidden = false;
  notice.replaceChildren(`This page has failed, and will retry: ${error}`);
}

function drawAll() {
  const { view, draw: drawView } = route();
  const content = $("content");
  const width = Math.max(280, content.clientWidth - 34);
  const split = window.innerWidth >= 1000 && data.detail;
  const now = data.link.since ?? nodeTime();
  const started = data.state?.process ? Date.parse(data.state.process.started) : null;
  const model = { ...data, now, started, width, detailWidth: split ? Math.floor(width / 2) - 24 : width };
  drawHead({ ...model, now: nodeTime() });
  drawTiles(model);
  show($("views"), VIEWS.map(([name, label]) =>
    h("li", null, h("a", { href: `#${name}`, "aria-current": name === view ? "page" : null }, label))));
  show(content, h("div", { "data-key": view, class: `view ${view}` }, data.state ? drawView(model) : null));
  show($("footer"), footer(model));
}

async function update() {
  if (reading) return;
  reading = true;
  clearTimeout(timer);
  const failure = await refresh(route().view).catch((error) => error);
  draw();
  if (failure) report(failure);
  reading = false;
  timer = setTimeout(update, document.hidden ? HIDDEN_INTERVAL : INTERVAL);
  if (data.detail) readDetail(data.detail).then(draw);
}

// Requests new data as soon as the current requests have ended.
async function updateNow() {
  draw();
  while (reading) await new Promise((done) => setTimeout(done, 20));
  await update();
}

async function navigate() {
  const { view, service } = route();
  const before = data.detail?.service;
  if (service !== before) data.detail = service ? { service, document: null, error: null, entries: [] } : null;
  data.shown = PAGE;
  await updateNow();
  if (view !== "services" || service === before) return;
  // The clicked link may have been removed from the page.
  const target = service ? $("service") : document.querySelector(`tr[data-key="${CSS.escape(before ?? "")}"] a`);
  target?.focus();
  target?.scrollIntoView({ block: "nearest" });
}

// Until the selected part of the list is here, the last one is shown, and must not be left again.
function turn(change) {
  const { list } = data;
  if (list.page?.path === servicesPath(list)) change(list);
}

const ACTIONS = {
  span: (value) => { data.span = value; },
  lane: (value) => { data.filter.lane = value; data.shown = PAGE; },
  more: () => { data.shown += PAGE; },
  dismiss: () => { data.restarted = null; },
  forward: () => { turn((list) => { list.before.push(list.after); list.after = list.page.continue; }); },
  back: () => { turn((list) => { list.after = list.before.pop(); }); },
};
const ASKING = new Set(["forward", "back"]);

const INPUTS = {
  search: ({ value }) => { restartList({ query: value.trim() }); },
  problems: ({ checked }) => { restartList({ problems: checked }); },
  filter: ({ value }) => { data.filter.text = value.trim(); data.shown = PAGE; },
  failed: ({ checked }) => { data.filter.failed = checked; data.shown = PAGE; },
};

function restartList(changed) {
  Object.assign(data.list, { before: [], after: null }, changed);
}

let typing = null;
function onInput({ target }) {
  const name = target.dataset.input;
  if (!name) return;
  INPUTS[name](target);
  clearTimeout(typing);
  // One request after the user stops typing: a request for each key would delay the result.
  typing = setTimeout(() => (name === "search" || name === "problems" ? updateNow() : draw()), 200);
}

function onClick({ target }) {
  const name = target.closest("[data-action]")?.dataset.action;
  if (!name) return;
  ACTIONS[name](target.closest("[data-action]").dataset.value);
  if (ASKING.has(name)) updateNow();
  else draw();
}

function onPointer({ target, clientX, clientY }) {
  const tip = $("tip");
  const text = target.closest?.("[data-tip]")?.dataset.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { offsetWidth: width, offsetHeight: height } = tip;
  const below = clientY + 16 + height < window.innerHeight;
  tip.style.left = `${Math.max(4, Math.min(clientX + 12, window.innerWidth - width - 4))}px`;
  tip.style.top = `${below ? clientY + 16 : clientY - height - 10}px`;
}

document.addEventListener("input", onInput);
document.addEventListener("click", onClick);
document.addEventListener("pointermove", onPointer);
document.addEventListener("scroll", () => { $("tip").hidden = true; }, { passive: true });
document.addEventListener("visibilitychange", () => { if (!document.hidden) update(); });
window.addEventListener("resize", draw);
window.addEventListener("hashchange", navigate);
navigate();
