// The latest requests that took the server long.

import { el, replace, table } from "./dom.js";
import { Poller } from "./poller.js";
import { bytes, number, time } from "./units.js";

let parts = null;
const log = new Poller("slowlog", 3000, {
  render: ({ requests }) => render(requests),
  fail: (text) => { parts.status.textContent = text; },
});

export function leave() {
  log.leave();
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
  await log.refresh();
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
