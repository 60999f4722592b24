// What the server does, live: requests, latencies and connections, as it counts them itself.

import { Chart } from "./chart.js";
import { el, replace, table } from "./dom.js";
import { Poller } from "./poller.js";
import { bytes, duration, number, time } from "./units.js";

const SECONDS = 120;
let charts = null;
let parts = null;
let samples = [];
let before = null;
const figures = new Poller("stats", 1000, {
  render: (stats) => {
    add(stats, Date.now());
    parts.status.textContent = "";
    render(stats);
  },
  fail: (text) => { parts.status.textContent = text; },
});

const perSecond = (value) => (value === null ? "–" : `${value >= 10 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toFixed(1)}/s`);

export function leave() {
  figures.leave();
  charts = parts = null;
}

export async function show(main) {
  if (charts) return figures.refresh();
  charts = [
    new Chart("Requests", [{ name: "all", key: "requests" }, { name: "failed", key: "failures" }], perSecond, SECONDS),
    new Chart("Latency", [{ name: "mean", key: "mean" }, { name: "p99 of 1 min", key: "p99" }], time, SECONDS),
    new Chart("Connections", [{ name: "open", key: "connections" }, { name: "requests waiting", key: "queued" }], (value) => (value === null ? "–" : number(Math.round(value * 10) / 10)), SECONDS),
    new Chart("Traffic", [{ name: "received", key: "received" }, { name: "sent", key: "sent" }], (value) => (value === null ? "–" : `${bytes(value)}/s`), SECONDS, 1024),
  ];
  parts = { facts: el("dl", { class: "facts" }), verbs: el("div", {}), status: el("p", { class: "hint", role: "status" }) };
  main.replaceChildren(el("h1", {}, "Activity"), parts.status, parts.facts, el("div", { class: "charts" }, charts.map((each) => each.element)), parts.verbs);
  samples = samples.filter((each) => Date.now() - each.time < SECONDS * 1000);
  await figures.refresh();
}

function add(stats, at) {
  const verbs = Object.values(stats.requests);
  const sum = (get) => verbs.reduce((total, each) => total + get(each), 0);
  const now = {
    time: at, started: stats.started_at,
    count: sum((each) => each.count),
    failed: sum((each) => Object.values(each.failures).reduce((total, count) => total + count, 0)),
    spent: sum((each) => each.count * (each.latency.mean ?? 0)),
    received: stats.traffic.bytes_received, sent: stats.traffic.bytes_sent,
  };
  const isLater = before !== null && before.started === now.started && at > before.time;
  const rate = (name) => (isLater ? Math.max(0, (now[name] - before[name]) / ((at - before.time) / 1000)) : null);
  const count = isLater ? now.count - before.count : 0;
  samples.push({
    time: at, requests: rate("count"), failures: rate("failed"),
    mean: count > 0 ? Math.max(0, (now.spent - before.spent) / count) : null,
    p99: (stats.recent_latency ?? stats.latency).p99, connections: stats.connections.open, queued: Math.max(0, stats.queues.requests - 1), // but for this one
    received: rate("received"), sent: rate("sent"),
  });
  samples = samples.filter((each) => at - each.time < (SECONDS + 5) * 1000);
  before = now;
}

function render(stats) {
  for (const chart of charts) chart.draw(samples, samples.at(-1).time);
  const { process, cache } = stats;
  const rate = cache.hits + cache.misses ? `${Math.round((100 * cache.hits) / (cache.hits + cache.misses))} %` : "–";
  const facts = [
    ["Version", stats.version], ["Running for", duration(stats.uptime)], ["Memory", bytes(process.memory)],
    ["Files and sockets", `${number(process.descriptors)}${process.max_descriptors ? ` of ${number(process.max_descriptors)}` : ""}`],
    ["Cursors", number(stats.cursors.open)], ["Cache hits", rate],
  ];
  parts.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  const rows = Object.entries(stats.requests).sort(([, one], [, other]) => other.count - one.count).map(([verb, each]) => [
    el("code", {}, verb), number(each.count), number(Object.values(each.failures).reduce((total, count) => total + count, 0)),
    time(each.latency.p50), time(each.latency.p99), time(each.latency.max),
  ]);
  const headings = ["Verb", ...["Requests", "Failed", "p50", "p99", "Slowest"].map((text) => ({ text, number: true }))];
  replace(parts.verbs, el("h2", {}, "Since the server was started"), table("Requests by verb", headings, rows));
}
