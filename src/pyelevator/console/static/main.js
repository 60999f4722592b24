// The views and the way between them: #/VIEW?parameters. A view has show(main, parameters); some have leave, shortcuts and unsaved changes.

import { abortGets, openSession } from "./api.js";
import { ask, say } from "./dom.js";
import * as activity from "./activity.js";
import * as backups from "./backups.js";
import * as databases from "./databases.js";
import * as keys from "./keys.js";
import * as prefixes from "./prefixes.js";
import * as slowlog from "./slowlog.js";

const VIEWS = { databases, keys, prefixes, activity, slowlog, backups };
const main = document.getElementById("main");
let current = null;
let shown = "";
let going = Promise.resolve();

// One after the other: what the view before was waiting for ends first.
function navigate() {
  abortGets();
  going = going.then(go);
  return going;
}

async function go() {
  const wanted = location.hash;
  if (wanted === shown) return;
  if (!wanted.startsWith("#/")) return; // the link that skips to the content
  if (current?.isDirty?.() && !(await leaveDirty())) return;
  const [name, query] = wanted.slice(2).split("?");
  const view = VIEWS[name] ?? databases;
  shown = wanted;
  if (view !== current) {
    current?.leave?.();
    main.replaceChildren();
    main.className = name;
  }
  for (const each of document.querySelectorAll("nav a")) {
    const isHere = each.hash.slice(2) === (VIEWS[name] ? name : "databases");
    if (isHere) {
      each.setAttribute("aria-current", "page");
      each.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else each.removeAttribute("aria-current");
  }
  current = view;
  main.setAttribute("aria-busy", "true");
  try {
    shown = (await view.show(main, new URLSearchParams(query))) ?? wanted; // some views change the address
  } catch (error) {
    fail(error);
  }
  main.removeAttribute("aria-busy");
  main.dataset.address = wanted;
}

// Asks before unsaved changes are left; until the answer, the address says where one still is.
async function leaveDirty() {
  const wanted = location.hash;
  history.replaceState(null, "", shown);
  const leaves = await ask("The value has changes that are not saved.", "Discard them");
  if (!leaves) return false;
  current.discard();
  history.replaceState(null, "", wanted);
  return true;
}

export function fail(error) {
  if (error.name !== "AbortError") say(error.message, "error");
}

const inText = (element) => element.matches("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "s" && current?.save) {
      event.preventDefault();
      current.save();
    }
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return current?.shortcuts?.Escape?.(event);
  if (inText(event.target)) return;
  const tab = document.querySelectorAll("nav a")[Number(event.key) - 1];
  if (tab) return tab.click();
  if (event.key === "?") return document.getElementById("help").showModal();
  current?.shortcuts?.[event.key]?.(event);
});

document.getElementById("help-button").addEventListener("click", () => document.getElementById("help").showModal());
window.addEventListener("hashchange", navigate);
window.addEventListener("beforeunload", (event) => {
  if (current?.isDirty?.()) event.preventDefault();
});

try {
  const session = await openSession();
  document.getElementById("url").textContent = session.url;
  const mode = document.getElementById("mode");
  mode.textContent = session.write ? "read and write" : "read-only";
  mode.classList.toggle("write", session.write);
  mode.hidden = false;
  document.documentElement.classList.toggle("can-write", session.write);
  for (const view of Object.values(VIEWS)) view.setUp?.(session);
  if (!location.hash.startsWith("#/")) history.replaceState(null, "", "#/databases");
  await navigate();
} catch (error) {
  main.replaceChildren();
  fail(error);
}
