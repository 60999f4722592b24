// The databases of the server.

import { get } from "./api.js";
import { el, link, table } from "./dom.js";
import { bytes, duration, number } from "./units.js";

export async function show(main) {
  const { databases } = await get("databases");
  const rows = databases.map((each) => [
    el("a", { href: link("keys", { db: each.name }) }, each.name),
    bytes(each.engine?.size),
    each.is_open === undefined ? "–" : each.is_open ? "open" : "closed",
    each.idle === undefined ? "–" : each.idle < 1 ? "now" : `${duration(each.idle)} ago`,
    (each.engine?.levels ?? []).map(({ level, tables }) => `L${level}: ${tables}`).join("  ") || "–",
    el("a", { href: link("prefixes", { db: each.name, run: 1 }), "aria-label": `Biggest prefixes of ${each.name}` }, "biggest prefixes"),
  ]);
  const headings = ["Name", { text: "Size on disk", number: true }, "State", "Last use", "Tables by level", ""];
  const hints = [`${number(databases.length)} ${databases.length === 1 ? "database" : "databases"}`];
  if (databases.some((each) => each.is_open === undefined)) hints.push("This server does not say their sizes, or not to this client: that takes admin access");
  else if (databases.some((each) => !each.is_open)) hints.push("The size of a database is known while it is open");
  main.replaceChildren(el("h1", {}, "Databases"), table("Databases", headings, rows), el("p", { class: "hint" }, hints.join(". ")));
}
