// The latest requests that took the server long.

import { get } from "./api.js";
import { el, replace, table } from "./dom.js";
import { bytes, number, time } from "./units.js";

const EVERY = 3000;
let parts = null;
let timer = null;

export function leave() {
  clearTimeout(timer);
  parts = null;
}

export async function show(main) {
  if (!parts) {
    parts = { status: el("p", { class: "hint", role: "status" }), log: el("div", {}) };
    main.replaceChildren(
      el("h1", {}, "Slow log"), parts.log, parts.status,
      el("p", { class: "hint" }, "What counts as slow says ", el("code", {}, "elevator serve --slow MS"), "; beginnings of keys are shown with ", el("code", {}, "--slow-keys"), "."),
    );
  }
  await refresh();
}

async function refresh() {
  clearTimeout(timer);
  const shown = parts;
  try {
    const { requests } = await get("slowlog");
    if (parts !== shown || !shown) return;
    render(requests);
  } catch (error) {
    if (parts !== shown || !shown || error.name === "AbortError") return;
    parts.status.textContent = error.message;
  }
  timer = setTimeout(refresh, EVERY);
}

function render(requests) {
  const count = requests.length;
  parts.status.textContent = count ? `The latest ${number(count)} ${count === 1 ? "request" : "requests"} that took long.` : "No request took long.";
  const rows = requests.map((each) => [
    new Date(each.at * 1000).toLocaleString(), time(each.seconds), el("code", {}, each.verb), each.database ?? "–",
    each.key === null ? "–" : el("code", {}, each.key), [each.client, each.user].filter(Boolean).join(" · ") || "–",
    bytes(each.request_bytes), bytes(each.response_bytes),
  ]);
  const sized = (text) => ({ text, number: true });
  const headings = ["When", sized("Took"), "Verb", "Database", "Key", "Client", sized("Request"), sized("Answer")];
  replace(parts.log, ...(count ? [table("Slow requests, the latest first", headings, rows)] : []));
}
