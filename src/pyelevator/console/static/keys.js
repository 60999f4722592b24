// The keys of a database, a page at a time, and beside them the value of the one that is open.

import { get } from "./api.js";
import { button, el, link, replace } from "./dom.js";
import * as value from "./value.js";

const COUNT = 100;
let session = null;
let parts = null;
let listed = null;
let parameters = null;
let page = null;
let opened = null;

export function setUp(opened) {
  session = opened;
  value.setUp(opened, { changed: reload });
}

export const isDirty = value.isDirty;
export const discard = value.discard;
export const save = value.save;

export function leave() {
  value.discard();
  parts = listed = page = opened = null;
}

export const shortcuts = {
  "/": (event) => focusOn(event, parts?.prefix),
  n: () => turn("next"),
  p: () => turn("previous"),
  e: (event) => focusOn(event, parts?.value.querySelector("textarea")),
  ArrowDown: (event) => move(event, 1),
  ArrowUp: (event) => move(event, -1),
  Home: (event) => move(event, -Infinity),
  End: (event) => move(event, Infinity),
  Escape: back,
};

function focusOn(event, element) {
  event.preventDefault();
  element?.focus();
}

// The address says which page (db, prefix, from or before) and which key; only what differs is asked for again.
export async function show(main, given) {
  parameters = given;
  if (!given.get("db")) given.set("db", session.database);
  if (!parts) await build(main);
  parts.database.value = given.get("db");
  const list = ["db", "prefix", "from", "before"].map((name) => given.get(name) ?? "").join("\n");
  if (list !== listed) {
    parts.prefix.value = given.get("prefix") ?? "";
    await load();
    parts.list.scrollTop = 0;
    listed = list;
  }
  await open();
}

async function build(main) {
  const { databases } = await get("databases");
  const names = new Set([...databases.map((each) => each.name), parameters.get("db")]);
  const database = el("select", { id: "database", onchange: () => to({ db: database.value }) }, [...names].map((name) => el("option", {}, name)));
  const prefix = el("input", { id: "prefix", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "user:" });
  const from = el("input", { id: "from", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "any key" });
  const submit = (event) => {
    event.preventDefault();
    to({ db: database.value, prefix: prefix.value || null, from: from.value || null });
  };
  const list = el("ul", { class: "list", "aria-label": "Keys" });
  const position = el("p", { class: "position", role: "status" });
  const pager = el("div", { class: "pager" },
    button("First", () => turn("first")), button("Previous", () => turn("previous")),
    button("Next", () => turn("next")), button("Last", () => turn("last")));
  const panel = el("section", { class: "value", "aria-label": "Value" });
  parts = { database, prefix, from, list, position, pager, value: panel };
  main.replaceChildren(
    el("h1", {}, "Keys"),
    el("form", { class: "search", role: "search", onsubmit: submit },
      el("label", { for: "database" }, "Database"), database,
      el("label", { for: "prefix" }, "Prefix"), prefix,
      el("label", { for: "from" }, "From"), from,
      el("button", {}, "Search"),
      session.write ? button("New key", () => to({ ...kept(), key: "", add: "1" }), { class: "primary" }) : null),
    el("div", { class: "columns" }, el("section", { class: "keys", "aria-label": "Keys" }, position, list, pager), panel),
  );
}

// The address of this page, without the open key.
function kept() {
  return Object.fromEntries(["db", "prefix", "from", "before"].map((name) => [name, parameters.get(name)]));
}

function to(wanted) {
  location.hash = link("keys", wanted);
}

async function load() {
  parts.list.setAttribute("aria-busy", "true");
  const { db, prefix, from, before } = kept();
  try {
    page = await get("keys", { db, prefix, from, before, count: COUNT });
  } catch (error) {
    page = listed = null;
    parts.list.replaceChildren();
    throw error;
  } finally {
    parts.list.removeAttribute("aria-busy");
  }
  render();
}

function render() {
  const { keys, has_previous: hasPrevious, has_next: hasNext } = page;
  replace(parts.list, ...keys.map((key) =>
    el("li", {}, el("a", { href: link("keys", { ...kept(), key }), "data-key": key }, key === "" ? "(empty key)" : key))));
  const prefix = parameters.get("prefix");
  const none = prefix ? `No key begins with ${prefix}` : "No keys";
  parts.position.textContent = keys.length ? describe(keys.length, hasPrevious, hasNext) : none;
  const [first, previous, next, last] = parts.pager.children;
  first.disabled = previous.disabled = !hasPrevious;
  next.disabled = last.disabled = !hasNext;
}

function describe(count, hasPrevious, hasNext) {
  const keys = `${count} ${count === 1 ? "key" : "keys"}`;
  if (!hasPrevious && !hasNext) return `${keys}, all of them`;
  return keys + (hasPrevious ? "" : " from the first on") + (hasNext ? "" : " up to the last");
}

function turn(where) {
  if (!page) return;
  const { keys, has_previous: hasPrevious, has_next: hasNext } = page;
  const { db, prefix } = kept();
  const targets = {
    first: hasPrevious && {},
    previous: hasPrevious && { before: keys[0] ?? parameters.get("from") },
    next: hasNext && keys.length && { from: after(keys.at(-1)) },
    last: hasNext && { before: "" },
  };
  if (targets[where]) to({ db, prefix, ...targets[where] });
}

// The smallest key behind another one is that with a zero byte.
const after = (key) => `${key}\\x00`;

function move(event, by) {
  const links = [...(parts?.list.querySelectorAll("a") ?? [])];
  if (!links.length || parts.value.contains(event.target)) return;
  event.preventDefault();
  const focused = links.indexOf(document.activeElement);
  const here = focused >= 0 ? focused : links.findIndex((each) => each.hasAttribute("aria-current"));
  links[Math.max(0, Math.min(links.length - 1, here + by))].focus();
}

// From the value to its key in the list; where the list is not beside the value, the value is closed for that.
function back() {
  if (parameters.get("key") === null) return;
  if (parts.list.checkVisibility() && parts.value.contains(document.activeElement)) return focusOnKey();
  close();
}

function close() {
  to(kept());
}

function focusOnKey(key = parameters.get("key")) {
  [...parts.list.querySelectorAll("a")].find((each) => each.dataset.key === key)?.focus();
}

async function open() {
  const key = parameters.get("key");
  for (const each of parts.list.querySelectorAll("a")) {
    if (each.dataset.key === key) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  document.getElementById("main").classList.toggle("has-key", key !== null);
  const isNew = parameters.get("add") === "1";
  if (key === null && opened !== null) focusOnKey(opened);
  opened = key;
  await value.show(parts.value, { db: parameters.get("db"), key, isNew, close });
}

// After a key was written, added or deleted: the page is read again, and the key that is open now is shown.
async function reload(key) {
  await load();
  if (key === null) return to(kept());
  if (parameters.get("add") || parameters.get("key") !== key) return to({ ...kept(), key });
  for (const each of parts.list.querySelectorAll("a")) {
    if (each.dataset.key === key) each.setAttribute("aria-current", "true");
  }
}
