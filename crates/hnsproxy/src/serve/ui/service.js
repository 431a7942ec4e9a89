// The list of Services, and the details of one.

const SERVICE_COLUMNS = [
  ["Service"], ["State"], ["Conditions"], ["Frontends", "number wide"], ["Load balancers", "number"], ["Backends", "number"],
];

function serviceRows(rows, selected) {
  return rows.map(serviceRow).map((row) =>
    h("tr", { "data-key": row.service, class: row.service === selected ? "open selected" : "open" },
      h("th", { scope: "row" }, h("a", { href: row.path, "aria-current": row.service === selected ? "true" : null }, row.service)),
      cell(null, badge(row.level, row.label), row.counts ? h("span", { class: "counts" }, row.counts) : null),
      cell("reason", row.conditions.join(", ")),
      cell("number wide", number(row.frontends)),
      cell("number", number(row.load_balancers)),
      cell("number", number(row.backends))));
}

function services(data) {
  const { list, detail } = data;
  const page = list.page;
  const range = page && page.services.length
    ? `${number(page.first + 1)} to ${number(page.first + page.services.length)} of ${plural(page.total, "Service")}`
    : page ? "No Service matches" : "Loading";
  const rest = page?.continue !== null && page?.continue !== undefined;
  const all = h("section", { class: "panel", "data-key": "services", "aria-label": "Services" },
    h("h2", null, "Services"),
    h("div", { class: "tools" },
      h("label", { class: "search" }, h("span", null, "Search"),
        h("input", { type: "search", id: "search", value: list.query, "data-input": "search", placeholder: "namespace/name", autocomplete: "off", spellcheck: "false" })),
      h("label", null, h("input", { type: "checkbox", id: "problems", checked: list.problems, "data-input": "problems" }), " Only problems"),
      h("span", { class: "range", role: "status" }, range),
      h("span", { class: "pages" },
        rest || list.before.length ? [
          button("back", "Previous", { disabled: list.before.length === 0 }),
          button("forward", "Next", { disabled: !rest }),
        ] : null)),
    page ? table("All Services", SERVICE_COLUMNS, serviceRows(page.services, detail?.service)) : null);
  return h("div", { class: detail ? "split" : null, "data-key": "split" }, all, detail ? serviceDetail(data) : null);
}

function balancerRow({ title, id, text }) {
  return h("div", null, h("dt", null, title), h("dd", null, id ? [h("code", null, id), " "] : null, text));
}

function frontendPart(frontend) {
  return h("article", { class: "frontend", "data-key": frontend.address },
    h("h4", null, h("code", null, frontend.address), h("span", { class: "kind" }, frontend.kind), badge(frontend.level, frontend.state)),
    frontend.notes ? h("p", { class: "note" }, frontend.notes) : null,
    frontend.backends.length
      ? h("ul", { class: "backends" }, frontend.backends.map((one) => h("li", null,
        badge(one.level, ""), h("code", null, one.address), h("span", { class: "node" }, one.local ? "this node" : one.node ?? ""),
        h("span", { class: "why" }, one.reason))))
      : h("p", { class: "note" }, "No EndpointSlice has a backend for this port."),
    h("dl", { class: "balancers" }, frontend.balancers.map(balancerRow)));
}

function backendTimeline({ detail, entries: all, started, now, detailWidth: width }) {
  const { document } = detail;
  // An entry without a Service counts the changes of many.
  const others = all.filter(({ kind, service }) => kind === "backends" && !service);
  const entries = [...detail.entries, ...others].sort((one, other) => one.sequence - other.sequence);
  const [from, to] = [Math.min(started ?? now, entries[0]?.at ?? now, now - 20_000), now];
  const lanes = backendPeriods(entries, { start: from, now, current: document && document.age_seconds < 10 ? servingAddresses(document) : null });
  if (lanes.length === 0 || detail.entries.every(({ kind }) => kind !== "backends")) return null;
  const bands = (one) => one.periods.map((period) => ({
    ...period,
    level: "info",
    tip: periodTip(one.address, period, now) + removalText(period.reason),
  }));
  return [
    h("h3", null, "Backends over time"),
    entries.some((entry) => entry.kind === "backends" && Object.values(unnamed(entry)).some(Boolean))
      ? h("p", { class: "note" }, "Some changes were too large to name each address. The bands show only when an address was certainly a backend.") : null,
    laneChart({
      from, to, width, rowHeight: 20, label: `Backends over time: ${plural(lanes.length, "address", "addresses")}. The events below list the changes.`,
      lanes: lanes.map((one) => ({ name: one.address, bands: bands(one) })),
    }),
  ];
}

function explained({ document, error }) {
  if (error) return h("p", { class: "note" }, `Details are not available: ${error}`);
  if (!document) return empty("Loading");
  return [
    document.age_seconds < 10 ? null : h("p", { class: "note" }, `The control loop is busy, or waiting for an HNS call: this was the state ${seconds(document.age_seconds)} ago.`),
    document.hns === "known" ? null : h("p", { class: "note" }, document.hns === "unavailable"
      ? "HNS unavailable: the observed state is from the last audit." : "HNS not audited yet: the observed state is unknown."),
    document.conditions.map((one) => h("p", { class: "condition" }, badge("wait", one.reason), " ", one.message)),
    document.steps.length ? [h("h3", null, "Pending steps"), h("ol", { class: "steps" }, document.steps.map((step) => h("li", null, step)))] : null,
    h("h3", null, "Frontends"),
    document.frontends.length ? document.frontends.map(frontendView).map(frontendPart) : empty("This Service has no frontend on this node."),
  ];
}

function serviceDetail(data) {
  const { detail, now } = data;
  const entries = detail.entries;
  return h("section", { class: "panel detail", "data-key": `detail ${detail.service}`, "aria-labelledby": "service" },
    h("div", { class: "bar" }, h("h2", { id: "service", tabindex: -1 }, detail.service), h("a", { href: "#services" }, "Close")),
    explained(detail),
    backendTimeline(data),
    h("h3", null, "Events of this Service"),
    entries.length ? entryList(entries.slice(-PAGE), now) : empty("No events in the history."));
}
