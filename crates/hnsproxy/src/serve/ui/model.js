// The texts and levels that the page shows for a state, as plain values. This file uses neither the clock nor the DOM.

const WAITING = {
  HNSCallOverdue: "an HNS call that has not returned",
  ClusterIncomplete: "the initial lists of Services and EndpointSlices",
  ClusterUnavailable: "the API server",
  WatchSilent: "a watch of the API server that receives nothing",
  NodeIncomplete: "the Node, its addresses or pod CIDRs",
  NodeDeleted: "the Node, which was deleted",
  HNSNotAudited: "the first audit of HNS",
  NetworkAbsent: "a network that HNS does not have",
  NetworkAmbiguous: "a choice between several networks",
  NetworkWithoutId: "the id of a network",
  OverlayNeedsMore: "a value that an overlay network requires",
  SourceVIPAbsent: "the source VIP",
  ListIncomplete: "a complete list from HNS",
  ObjectsSkipped: "HNS documents that cannot be read yet",
  ObjectsUnverified: "the verification of HNS objects",
  HNSRestarted: "the objects that HNS had before its restart",
  NetworkMissing: "a missing network that has the only backends of some frontends",
  LoadBalancersPending: "load balancers to be programmed",
  EndpointsPending: "endpoints to be created",
  RetriesPending: "retries of failed changes",
  CreationsUncertain: "a list from HNS that shows whether created objects exist",
  ChangesPending: "changes to be programmed",
  ForeignWriter: "the repair of objects that another program keeps changing",
};

const LIVENESS = {
  up: "HNS answers",
  slow: "HNS is slow",
  unavailable: "HNS unavailable",
  restarted: "HNS has restarted",
};

function sinceText(at, now) {
  return at === null ? "" : ` since ${clock(at, now)}`;
}

function age(at, now) {
  const passed = at === null ? 0 : Math.round((now - at) / 1000);
  return passed < 1 ? "" : `for ${seconds(passed)}`;
}

// The headline with its level, its duration and its reason. Screen readers announce it when its `kind` changes.
function headline({ state, link, entries, now }) {
  if (link.since !== null) {
    const old = state ? ` All data is from ${clock(link.last, now)}.` : "";
    return {
      kind: "link", level: "bad", title: `hnsproxy has not responded${sinceText(link.since, now)}`,
      age: age(link.since, now), detail: `${link.error}.${old}`,
    };
  }
  if (!state) return { kind: "loading", level: "info", title: "Loading", age: "", detail: "" };
  const { hns, cluster, waiting_for: [first], load_balancers: balancers, programming } = state;
  if (hns.overdue_call) {
    return { kind: "overdue", level: "bad", title: "Waiting for an HNS call that has not returned", age: "", detail: hns.overdue_call };
  }
  if (hns.liveness === "unavailable") {
    const at = since(entries, "hns_liveness", (entry) => entry.liveness === "unavailable");
    return { kind: "hns", level: "bad", title: `HNS unavailable${sinceText(at, now)}`, age: age(at, now), detail: first?.message ?? "" };
  }
  if (!cluster.available) {
    const at = since(entries, "api_server", (entry) => !entry.available);
    const what = state.in_sync ? "Serving the last known state; API server unavailable" : "API server unavailable";
    return { kind: "api", level: "bad", title: what + sinceText(at, now), age: age(at, now), detail: cluster.error ?? "" };
  }
  if (programming) {
    const left = programming.seconds_left;
    return {
      kind: "programming", level: "wait", title: `Waiting for load balancers: ${number(balancers.in_sync)} of ${number(balancers.desired)} programmed`,
      age: left === null ? "" : estimate(left), detail: reason(state, "LoadBalancersPending"),
    };
  }
  if (first) {
    const what = WAITING[first.reason];
    return {
      kind: first.reason, level: "wait", title: what ? `Waiting for ${what}` : `Waiting: ${first.message}`, age: "", detail: reason(state),
    };
  }
  const rest = hns.liveness === "up" ? "" : `, but ${LIVENESS[hns.liveness] ?? hns.liveness}`;
  return {
    kind: `serving${rest}`, level: rest ? "wait" : "ok", title: `Serving: HNS is in sync with the cluster${rest}`, age: "",
    detail: `${plural(balancers.desired, "load balancer")}, ${plural(state.endpoints.desired, "endpoint")}`,
  };
}

// The first reason except the one that the title shows.
function reason({ waiting_for: waiting }, said) {
  const others = waiting.filter((one) => one.reason !== said);
  return others.length === 0 ? "" : others[0].message + (others.length > 1 ? `, and ${plural(others.length - 1, "other reason")}` : "");
}

function isFromFiles({ cluster }) {
  return cluster.available && Object.keys(cluster.watch_silence_seconds ?? {}).length === 0;
}

function tally({ desired, in_sync: ready }) {
  return {
    value: `${number(ready)} / ${number(desired)}`,
    level: ready === desired ? "ok" : "wait",
  };
}

function tiles({ state, calls, entries, now }) {
  const { load_balancers: balancers, endpoints, pending_changes: pending, hns, cluster } = state;
  const changes = pending.services + pending.endpoint_slices;
  const oldest = pending.oldest_seconds;
  const slowest = Math.max(0, ...(calls?.calls ?? []).map((call) => call.p99_seconds));
  const silence = Object.values(cluster.watch_silence_seconds ?? {});
  const unrepaired = Object.values(state.drift).reduce((sum, objects) => sum + objects, 0);
  const drift = entries.filter((entry) => entry.kind === "drift_found" && entry.at > now - HOUR);
  const found = drift.reduce((sum, entry) => sum + objects(entry), 0);
  const conditions = state.conditions.length + state.host_conditions.length;
  const without = state.frontends_without_backends;
  const down = !cluster.available;
  return [
    {
      label: "Load balancers in sync",
      ...tally(balancers),
      note: without ? `${plural(without, "frontend")} without backends` : "all frontends have backends",
      view: "services",
    },
    { label: "Endpoints in sync", ...tally(endpoints), note: "in HNS", view: "services" },
    {
      label: "Pending",
      value: number(pending.backlog + pending.queued),
      level: oldest > 10 ? "wait" : "ok",
      note: oldest === null ? "no pending change" : `${changes ? plural(changes, "changed object") : "changes"}, oldest ${seconds(oldest)}`,
      view: "pending",
    },
    {
      label: "Retries",
      value: number(pending.failed),
      level: pending.failed ? "bad" : "ok",
      note: pending.failed ? "failed writes" : "no failed writes",
      view: "pending",
    },
    {
      label: "HNS",
      value: words(hns.liveness),
      level: hns.overdue_call ? "bad" : LIVENESS_LEVELS[hns.liveness] ?? "wait",
      note: calls?.calls.length ? `highest p99 ${seconds(slowest)}` : "no calls in 10 min",
      view: "hns",
    },
    {
      label: "API server",
      value: down ? "Unavailable" : "Available",
      level: down ? "bad" : "ok",
      note: isFromFiles(state) ? "cluster from files" : `last data ${seconds(Math.round(Math.max(0, ...silence)))} ago`,
      view: "history",
    },
    {
      label: "Drift",
      value: number(unrepaired),
      level: unrepaired ? "wait" : "ok",
      note: `${number(found)} found in the last hour`,
      view: "drift",
    },
    {
      label: "Conditions",
      value: number(conditions),
      level: conditions ? "wait" : "ok",
      note: conditions ? `${number(state.conditions.length)} of Services, ${number(state.host_conditions.length)} of the host` : "no conditions",
      view: "services",
    },
  ];
}

const STATES = { in_sync: "In sync", pending: "Pending", failed: "Failed" };
const STATE_LEVELS = { in_sync: "ok", pending: "wait", failed: "bad" };

function servicePath(service) {
  return `#services/${service.split("/").map(encodeURIComponent).join("/")}`;
}

function serviceRow(row) {
  const level = STATE_LEVELS[row.state] ?? "wait";
  const counts = [row.pending && `${number(row.pending)} pending`, row.failed && `${number(row.failed)} failed`];
  return {
    ...row,
    level: level === "ok" && row.conditions.length ? "wait" : level,
    label: STATES[row.state] ?? words(row.state),
    counts: counts.filter(Boolean).join(", "),
    path: servicePath(row.service),
  };
}

// Why a backend serves or does not serve, with the same texts as `hnsproxy explain`.
const BACKENDS = {
  Ready: ["ok", "ready"],
  TerminatingFallback: ["ok", "terminating, used because no backend is ready"],
  EndpointPending: ["wait", "ready; its HNS endpoint will be created"],
  ByHostEndpoint: ["ok", "ready; in the host network, reached through the endpoint of the host"],
  NotReady: ["info", "not ready"],
  Terminating: ["info", "terminating, and other backends are ready"],
  OtherZone: ["info", "its topology hints name other zones"],
  OtherNode: ["info", "its topology hints name other nodes"],
  NotLocal: ["info", "on another node, and the traffic policy is Local"],
  OtherPort: ["wait", "its port differs from that of most backends"],
  OtherNetwork: ["wait", "in another HNS network than most backends"],
  NetworkMissing: ["bad", "its HNS network is unavailable"],
  OverLimit: ["wait", "exceeds the backend limit of a load balancer"],
  NoHnsEndpoint: ["bad", "on this node, but the CNI has not created its HNS endpoint"],
  NoHostEndpoint: ["bad", "in the host network, and HNS has no endpoint for the host"],
  EndpointFailed: ["bad", "its HNS endpoint could not be created; retry pending"],
  YieldsToReady: ["info", "another record of this address is ready"],
  YieldsToServing: ["info", "another record of this address is not terminating, or still serves"],
  YieldsToLocal: ["info", "another record of this address is on this node"],
  YieldsToSame: ["info", "another record of this address has the same state"],
};

const REMOVALS = { ServiceDeleted: "the Service was deleted", NotInSlices: "no EndpointSlice has it" };

function removalText(reason) {
  return reason ? `, then removed: ${REMOVALS[reason] ?? BACKENDS[reason]?.[1] ?? reason}` : "";
}

function backendRow(backend) {
  const [level, reason] = BACKENDS[backend.state] ?? ["info", backend.state];
  const address = backend.address.includes(":") ? `[${backend.address}]` : backend.address;
  return { address: `${address}:${backend.port}`, node: backend.node, local: backend.local, level, reason };
}

function servingAddresses({ frontends }) {
  const serving = frontends.flatMap(({ backends }) => backends).filter(({ state }) => BACKENDS[state]?.[1].match(/^(ready|terminating, used)/));
  return new Set(serving.map(({ address }) => address));
}

const FRONTENDS = {
  ClusterIp: "Cluster IP",
  NodePort: "Node port",
  ExternalIp: "External IP",
  IngressIp: "Load balancer IP",
  HealthCheck: "Health check",
};

function frontendState({ owned_by: owner, in_sync: inSync, desired, waiting }) {
  if (owner) return ["wait", `Service ${owner} has this frontend`];
  if (!inSync) return ["wait", waiting ? "retry pending" : "pending"];
  return desired ? ["ok", "in sync"] : ["info", "no load balancer, because no backend serves"];
}

// The desired and the observed load balancers. Usually they are equal.
function balancerRows({ desired, observed }) {
  const text = ({ backends }) => `with ${backends.join(", ")}`;
  const [first] = observed;
  if (observed.length === 1 && desired?.id === first.id && text(desired) === text(first)) {
    return [{ title: "HNS has", id: first.id, text: `${text(first)}, as desired` }];
  }
  const all = observed.map((one) => ({ title: one.ours ? "HNS has" : "HNS has (foreign)", id: one.id, text: text(one) }));
  return [
    ...(desired ? [{ title: "Desired", id: desired.id, text: text(desired) }] : []),
    ...(all.length ? all : [{ title: "HNS has", id: null, text: "nothing" }]),
  ];
}

function frontendView(frontend) {
  const [level, state] = frontendState(frontend);
  const notes = [
    frontend.port_name && `port ${frontend.port_name}`,
    frontend.local_only && "only backends of this node",
    frontend.hints !== "None" && `filtered by ${frontend.hints.toLowerCase()} hints`,
  ];
  return {
    address: frontend.frontend,
    kind: FRONTENDS[frontend.kind] ?? frontend.kind,
    notes: notes.filter(Boolean).join(", "),
    level,
    state,
    backends: frontend.backends.map(backendRow),
    balancers: balancerRows(frontend),
  };
}

function pendingCounts({ pending_changes: pending }) {
  return [
    ["Changed Services", pending.services],
    ["Changed EndpointSlices", pending.endpoint_slices],
    ["Changes in the event queue", pending.queued],
    ["Frontends and addresses to plan or program", pending.backlog],
    ["Of these, failed with a pending retry", pending.failed],
  ];
}

const PROBES = {
  Unknown: ["info", "not known yet"],
  Forwards: ["ok", "forwards"],
  FrontendNotForwarding: ["bad", "does not forward"],
  BackendsNotAnswering: ["bad", "backends do not answer"],
};

const CAPABILITIES = {
  direct_server_return: "Direct server return (DSR)",
  session_affinity: "Session affinity",
  ipv6: "IPv6",
  modify_load_balancer: "Load balancers modified in place",
  v1_endpoint_list: "HNS v1 list of endpoints trusted",
  v1_load_balancer_list: "HNS v1 list of load balancers trusted",
};
