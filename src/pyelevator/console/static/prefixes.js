// The biggest prefixes: a scan that the console does, and this page watches.

import { get, send } from "./api.js";
import { button, el, link, replace, say, table } from "./dom.js";
import { bytes, number } from "./units.js";

const EVERY = 400;
let session = null;
let parts = null;
let scan = null;
let timer = null;

export function setUp(opened) {
  session = opened;
}

export function leave() {
  clearTimeout(timer);
  parts = null;
}

export async function show(main, parameters) {
  if (!parts) await build(main);
  if (parameters.get("db")) parts.database.value = parameters.get("db");
  if (parameters.has("prefix")) parts.prefix.value = parameters.get("prefix");
  if (parameters.get("run")) {
    const address = link("prefixes", { db: parameters.get("db"), prefix: parameters.get("prefix") });
    history.replaceState(null, "", address);
    await start();
    return address;
  }
  if (scan) await watch();
  return null;
}

async function build(main) {
  const { databases } = await get("databases");
  const database = el("select", { id: "database" }, databases.map((each) => el("option", {}, each.name)));
  database.value = scan?.database ?? session.database;
  const prefix = el("input", { id: "prefix", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "all keys" });
  const separators = el("input", { id: "separators", autocomplete: "off", spellcheck: "false", value: ":/|", class: "short" });
  prefix.value = scan?.prefix ?? "";
  const onsubmit = (event) => {
    event.preventDefault();
    start();
  };
  parts = {
    database, prefix, separators,
    stop: button("Stop", stop),
    progress: el("progress", { max: 1, "aria-label": "Progress of the scan" }),
    status: el("p", { role: "status" }),
    report: el("div", {}),
  };
  parts.stop.hidden = parts.progress.hidden = true;
  main.replaceChildren(
    el("h1", {}, "Biggest prefixes"),
    el("form", { class: "search", onsubmit },
      el("label", { for: "database" }, "Database"), database,
      el("label", { for: "prefix" }, "Within"), prefix,
      el("label", { for: "separators" }, "Separators"), separators,
      el("button", {}, "Scan"), parts.stop),
    el("div", { class: "progress" }, parts.progress, parts.status),
    parts.report,
    el("p", { class: "hint" }, "Keys are counted page by page; in very large prefixes they are estimated (≈) from samples. Sizes are estimates: of each page a few values are read. On disk they are compressed, and what was written last is not counted."),
  );
}

async function start() {
  try {
    if (scan?.state === "running") await send("DELETE", "scans", { id: scan.id });
    scan = await send("POST", "scans", { db: parts.database.value, prefix: parts.prefix.value, separators: parts.separators.value });
    render();
    watchSoon();
  } catch (error) {
    say(error.message, "error");
  }
}

async function stop() {
  try {
    scan = await send("DELETE", "scans", { id: scan.id });
    render();
  } catch (error) {
    say(error.message, "error");
  }
}

function watchSoon() {
  clearTimeout(timer);
  if (scan.state === "running") timer = setTimeout(watch, EVERY);
}

async function watch() {
  try {
    scan = await get("scans", { id: scan.id });
    if (!parts) return;
    render();
    watchSoon();
  } catch (error) {
    if (error.name === "AbortError") return parts && watchSoon();
    scan = null;
    say(error.message, "error");
  }
}

const STATES = { running: "Scanning", done: "Done", stopped: "Stopped", failed: "Failed" };

function render() {
  const { total, state, fraction } = scan;
  parts.stop.hidden = state !== "running";
  parts.progress.hidden = false;
  if (fraction === null) parts.progress.removeAttribute("value");
  else parts.progress.value = fraction;
  const share = fraction === null || state !== "running" ? "" : `, about ${Math.round(fraction * 100)} %`;
  parts.status.textContent = `${STATES[state]}${share}: ${keys(total)} keys, about ${bytes(total.bytes)}${scan.error ? ` – ${scan.error}` : ""}`;
  const most = Math.max(1, ...scan.groups.map((each) => each.bytes));
  const rows = scan.groups.slice(0, 100).map((each) => row(each, most));
  if (scan.without_separator.keys) rows.push(row({ ...scan.without_separator, label: "(keys without a separator)" }, most));
  if (scan.smaller.keys) rows.push(row({ ...scan.smaller, label: `(${number(scan.group_count - scan.groups.length)} smaller prefixes)` }, most));
  const headings = ["Prefix", { text: "Keys", number: true }, { text: "Size, about", number: true }, { text: "On disk", number: true }, { text: "Share" }, { text: "" }];
  if (rows.length) replace(parts.report, table("Biggest prefixes", headings, rows));
  else parts.report.replaceChildren();
}

const keys = (group) => (group.is_estimate ? "≈ " : "") + number(group.keys);

function row(group, most) {
  const { database } = scan;
  const name = group.label ?? el("a", { href: link("keys", { db: database, prefix: group.prefix }) }, el("code", {}, group.prefix));
  const inside = group.label || scan.state === "running" ? "" : el("a", { href: link("prefixes", { db: database, prefix: group.prefix, run: 1 }), "aria-label": `Scan within ${group.prefix}` }, "look inside");
  const share = el("meter", { min: 0, max: most, value: Math.min(group.bytes, most), "aria-label": "Share of the size" });
  return [name, keys(group), bytes(group.bytes), bytes(group.on_disk), share, inside];
}
