// The views below the summary. Each view is a function from the data of the page to DOM elements.

const FIRST = 12;

function waitingList(state) {
  if (state.waiting_for.length === 0) return null;
  return panel("Waiting for", h("ul", { class: "reasons" }, state.waiting_for.map((one) =>
    h("li", null, h("strong", null, WAITING[one.reason] ?? one.reason), h("span", null, one.message)))));
}

function hostConditions(state) {
  if (state.host_conditions.length === 0) return null;
  return panel("Conditions of this host", h("ul", { class: "reasons" }, state.host_conditions.map((one) =>
    h("li", null, h("strong", null, one.reason), h("span", null, one.message)))));
}

function progress(state) {
  const { load_balancers: all, programming } = state;
  if (!programming) return null;
  const left = programming.seconds_left;
  return panel("Programming",
    h("label", { class: "progress" },
      h("span", null, `${number(all.in_sync)} of ${plural(all.desired, "load balancer")}, ${programming.percent} %`,
        left === null ? "" : `, ${estimate(left)}`),
      h("progress", { max: Math.max(1, all.desired), value: all.in_sync })));
}

function errors(data) {
  const { state } = data;
  const all = [
    ["Configuration not applied", state.configuration.error],
    ["Log file cannot be written", state.log?.error],
    ...(state.tls ?? []).map((one) => [`TLS of ${one.listener}`, one.error]),
    ["API server", state.cluster.error],
  ].filter(([, error]) => error);
  if (state.cluster.insecure_skip_tls_verify) {
    all.push(["API server", "its certificate is not verified (insecure-skip-tls-verify)"]);
  }
  if (all.length === 0) return null;
  return panel("Errors", h("ul", { class: "reasons" }, all.map(([what, error]) =>
    h("li", null, h("strong", null, what), h("span", null, error)))));
}

function probes(state) {
  if (!state.probe?.length) return null;
  const rows = state.probe.map((one) => h("tr", { "data-key": `${one.service} ${one.frontend}` },
    h("th", { scope: "row" }, serviceLink(one.service)),
    cell(null, h("code", null, one.frontend)),
    cell(null, badge(...(PROBES[one.finding] ?? ["bad", one.finding]))),
    cell(null, one.message),
    cell("number", number(one.replacements))));
  return panel("Probed cluster IPs", table("Probed cluster IPs", [["Service"], ["Frontend"], ["Finding"], ["Message"], ["Replacements", "number"]], rows));
}

function overview(data) {
  const { state, entries, now } = data;
  return [
    progress(state),
    state.waiting_for.length > 1 ? waitingList(state) : null,
    errors(data),
    hostConditions(state),
    probes(state),
    panel("Activity",
      choices("Time", "span", SPANS, data.span),
      timeline(data, entries, "Activity"),
      h("h3", null, "Last events"),
      entries.length ? entryList(entries.slice(-FIRST), now) : empty("No events yet."),
      entries.length > FIRST ? h("p", null, h("a", { href: "#history" }, `All ${plural(entries.length, "event")}`)) : null),
  ];
}

function pending(data) {
  const { state, pending: page } = data;
  const oldest = state.pending_changes.oldest_seconds;
  const rows = page?.services ?? [];
  return [
    progress(state),
    waitingList(state),
    panel("Pending changes",
      facts([
        ...pendingCounts(state).map(([name, value]) => [name, number(value)]),
        ["Age of the oldest pending change", oldest === null ? "none" : seconds(oldest)],
      ])),
    panel("Services that are not in sync",
      rows.length ? table("Services that are not in sync", SERVICE_COLUMNS, serviceRows(rows)) : empty("All Services are in sync."),
      rows.length === 100 ? h("p", { class: "note" }, "Only the first 100 are shown. The Services view lists all.") : null),
  ];
}

function history(data) {
  const { entries, now, filter, shown } = data;
  const matching = entries.filter((entry) => (filter.lane === "all" || entry.lane === filter.lane)
    && (!filter.failed || entry.level === "bad" || entry.level === "wait")
    && (!filter.text || `${entry.service ?? ""} ${entry.frontend ?? ""} ${entry.address ?? ""} ${entry.message}`.includes(filter.text)));
  const more = matching.length - shown;
  return [panel("History",
    h("div", { class: "tools" },
      h("label", { class: "search" }, h("span", null, "Filter"),
        h("input", { type: "search", id: "filter", value: filter.text, "data-input": "filter", placeholder: "Service, address or text", autocomplete: "off", spellcheck: "false" })),
      h("label", null, h("input", { type: "checkbox", id: "failed", checked: filter.failed, "data-input": "failed" }), " Only problems"),
      choices("Kind", "lane", [["all", "All"], ...LANES], filter.lane),
      choices("Time", "span", SPANS, data.span)),
    timeline(data, matching, "History"),
    h("p", { class: "range", role: "status" }, plural(matching.length, "event"),
      data.dropped ? `; ${number(data.dropped)} older events were discarded` : ""),
    matching.length ? entryList(matching.slice(-shown), now) : empty("No event matches."),
    more > 0 ? button("more", `Show ${number(Math.min(more, PAGE))} more of ${number(more)}`) : null)];
}

function writeDurations(data) {
  const { entries, now, width } = data;
  const writes = entries.filter((entry) => entry.kind === "write");
  const { from, to } = spanOf(data);
  const marks = columns(writes, from, to, Math.max(20, Math.floor(width / 8))).map((column) => {
    const durations = column.entries.map((entry) => entry.duration_seconds).sort((one, other) => one - other);
    const [median, longest] = [durations[Math.floor(durations.length / 2)], durations.at(-1)];
    const failed = column.entries.filter((entry) => entry.error).length;
    return {
      from: column.from,
      to: column.to,
      median,
      longest,
      level: failed ? "bad" : "info",
      tip: [
        `${clock(column.from, now)} to ${clock(column.to, now)}`,
        `${plural(durations.length, "write")}${failed ? `, ${number(failed)} failed` : ""}`,
        `median ${seconds(median)}, longest ${seconds(longest)}`,
      ].join("\n"),
    };
  });
  const total = marks.length ? `${plural(writes.length, "write")}, the longest ${seconds(Math.max(...marks.map((mark) => mark.longest)))}` : "no write";
  return [
    marks.length ? null : empty("No writes in this period."),
    durationChart({ from, to, width, columns: marks, label: `Duration of writes from ${clock(from, now)} to ${clock(to, now)}: ${total}` }),
    laneChart({ from, to, width, rowHeight: 24, hasAxis: false, label: "Liveness of HNS in the same period", lanes: [livenessLane(data)] }),
  ];
}

function hns(data) {
  const { state, calls, width } = data;
  const wide = Math.max(120, Math.min(420, width - 560));
  const all = calls?.calls ?? [];
  const ticks = all.length ? decades(Math.max(0.0001, Math.min(...all.map((call) => call.p50_seconds))), Math.max(...all.map((call) => call.max_seconds), 0.01)) : [];
  const rows = all.map((call) => h("tr", { "data-key": call.function },
    h("th", { scope: "row" }, h("code", null, call.function)),
    cell("number", number(call.count)),
    cell(call.errors ? "number failed" : "number", number(call.errors)),
    ...["p50_seconds", "p90_seconds", "p99_seconds", "max_seconds"].map((name) => cell("number", seconds(call[name]))),
    cell("picture", quantileBar({
      width: wide, ticks, p50: call.p50_seconds, p90: call.p90_seconds, p99: call.p99_seconds, max: call.max_seconds,
      tip: `${call.function}: median ${seconds(call.p50_seconds)}, p90 ${seconds(call.p90_seconds)}, p99 ${seconds(call.p99_seconds)}, longest ${seconds(call.max_seconds)}`,
    }))));
  const columnsOf = [["Function"], ["Calls", "number"], ["Errors", "number"], ["p50", "number"], ["p90", "number"], ["p99", "number"], ["Longest", "number"],
    [ticks.length ? [h("span", { class: "hidden" }, "Distribution"), quantileAxis({ width: wide, ticks })] : "Distribution", "picture"]];
  return [
    panel("HNS", facts([
      ["Liveness", LIVENESS[state.hns.liveness] ?? state.hns.liveness],
      ["Overdue call", state.hns.overdue_call ?? "none"],
      ["Version", state.hns.version ?? "not known yet"],
      ["API", state.hns.api],
      ["Settings", state.hns.description],
    ])),
    panel("Writes over time",
      choices("Time", "span", SPANS, data.span),
      h("p", { class: "note" }, "Each line goes from the median write (dot) to the longest write. A write can consist of several calls."),
      writeDurations(data)),
    panel("Calls of the last 10 minutes",
      h("p", { class: "note" }, "The bar goes from p50 to p90, the line to the longest call. The tick marks p99. The scale is logarithmic."),
      all.length ? table("Calls by function", columnsOf, rows) : empty("No call has returned in this period.")),
  ];
}

function networks(data) {
  const { state, networks: page } = data;
  const capabilities = Object.entries(state.hns.capabilities ?? {});
  const { node, cluster } = state;
  return [
    hostConditions(state),
    panel("Networks",
      state.networks.length
        ? table("Networks", [["Name"], ["State"], ["Id"]], state.networks.map((network) => h("tr", { "data-key": network.name },
          h("th", { scope: "row" }, network.name),
          cell(null, badge(network.present ? "ok" : "bad", network.present ? "present" : "missing")),
          cell(null, h("code", null, network.id ?? "not known")))))
        : empty("No networks found yet.")),
    panel("Capabilities of HNS",
      capabilities.length
        ? h("ul", { class: "capabilities" }, capabilities.map(([name, can]) => h("li", null, badge(can ? "ok" : "info", can ? "yes" : "no"), CAPABILITIES[name] ?? words(name))))
        : empty("Not known yet.")),
    panel("Node", facts([
      ["Name", node.name],
      ["In the cluster", node.found === null ? "not known yet" : node.found ? "yes" : "no"],
      ["Eligible for external load balancers", node.eligible ? "yes" : "no"],
      ["Addresses", node.addresses.join(", ") || "none"],
      ["IP families", page?.families.join(", ") ?? ""],
      ["Initial lists of the cluster", cluster.complete ? "complete" : "incomplete"],
    ])),
  ];
}

function drift(data) {
  const { state: now, entries } = data;
  const causes = driftByCause(entries, now.drift);
  const highest = Math.max(1, ...causes.map((one) => one.found));
  const events = entries.filter((entry) => entry.lane === "drift");
  return [panel("Drift by cause",
    h("p", { class: "note" }, "Objects that another program changed or deleted, or that HNS lost."),
    causes.length
      ? table("Drift by cause", [["Cause"], ["Not repaired", "number"], ["Found", "number"], ["Repaired", "number"], ["Last found"], ["Found, by cause", "picture wide"]],
        causes.map((one) => h("tr", { "data-key": one.cause },
          h("th", { scope: "row" }, words(one.cause)),
          cell(one.now ? "number failed" : "number", number(one.now)),
          cell("number", number(one.found)),
          cell("number", number(one.repaired)),
          cell(null, one.last === null ? "" : clock(one.last, data.now)),
          cell("picture wide", shareBar(one.found / highest, `${words(one.cause)}: ${number(one.found)} found`)))))
      : empty("None found.")),
  panel("Drift events", events.length ? [
    choices("Time", "span", SPANS, data.span),
    timeline(data, events, "Drift"),
    entryList(events.slice(-PAGE), data.now),
  ] : empty("No drift events."))];
}

const VIEWS = [
  ["overview", "Overview", overview],
  ["services", "Services", services],
  ["pending", "Pending", pending],
  ["history", "History", history],
  ["hns", "HNS", hns],
  ["networks", "Networks", networks],
  ["drift", "Drift", drift],
];
