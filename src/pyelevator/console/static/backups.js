// Backups, and the long tasks of the server.

import { get, send } from "./api.js";
import { el, replace, say, table } from "./dom.js";
import { Poller } from "./poller.js";
import { bytes, duration } from "./units.js";

const TASKS = { backup: "Backup", compact: "Compaction", repair: "Repair" };
let session = null;
let parts = null;
const list = new Poller("backups", 1000, {
  render: ({ tasks, backups }) => render(tasks, backups),
  fail: (text) => { parts.status.textContent = text; },
});

export function setUp(opened) {
  session = opened;
}

export function leave() {
  list.leave();
  parts = null;
}

export async function show(main, parameters) {
  if (!parts) await build(main);
  if (parts.database && parameters.get("db")) parts.database.value = parameters.get("db");
  await list.refresh();
}

async function build(main) {
  parts = { status: el("p", { class: "hint", role: "status" }), tasks: el("div", {}), backups: el("div", {}) };
  let form = el("p", { class: "hint" }, "This console only reads. Started with --write, it can have the server make backups; so does ", el("code", {}, "elevator backup"), ".");
  if (session.write) {
    const { databases } = await get("databases");
    parts.database = el("select", { id: "database" }, databases.map((each) => el("option", {}, each.name)));
    parts.database.value = session.database;
    parts.directory = el("input", { id: "directory", autocomplete: "off", spellcheck: "false", required: true, placeholder: "/var/backups/elevator/shop" });
    const onsubmit = (event) => {
      event.preventDefault();
      start();
    };
    form = el("form", { class: "search", onsubmit },
      el("label", { for: "database" }, "Database"), parts.database,
      el("label", { for: "directory" }, "New directory on the server"), parts.directory,
      el("button", {}, "Back up"));
  }
  main.replaceChildren(el("h1", {}, "Backups"), form, parts.status, parts.tasks, parts.backups);
}

async function start() {
  try {
    await send("POST", "backups", { db: parts.database.value, directory: parts.directory.value });
    say("The backup has begun.");
    if (parts) await list.refresh();
  } catch (error) {
    say(error.message, "error");
  }
}

const STATES = { running: "running", done: "done", failed: "failed" };

function render(tasks, backups) {
  parts.status.textContent = tasks.length ? "" : "The server has no long task under way.";
  const rows = tasks.map((each) => [
    TASKS[each.task] ?? each.task, each.database, duration(each.seconds),
    each.total ? el("progress", { max: each.total, value: Math.min(each.done, each.total), "aria-label": `${each.task} of ${each.database}` }) : el("progress", { "aria-label": `${each.task} of ${each.database}` }),
    each.total ? `${bytes(each.done)} of ${bytes(each.total)}` : "–",
  ]);
  replace(parts.tasks, ...(rows.length ? [el("h2", {}, "Under way"), table("Under way", ["Task", "Database", "For", "Progress", { text: "Bytes", number: true }], rows)] : []));
  const made = backups.map((each) => [
    new Date(each.started_at * 1000).toLocaleTimeString(), each.database, el("code", {}, each.directory),
    el("span", { class: each.state }, each.error ? `${STATES[each.state]}: ${each.error}` : STATES[each.state]),
    bytes(each.report?.size), bytes(each.report?.linked),
  ]);
  const headings = ["Begun", "Database", "Directory", "State", { text: "Size", number: true }, { text: "Of it shared", number: true }];
  replace(parts.backups, ...(made.length ? [el("h2", {}, "Made by this console"), table("Made by this console", headings, made)] : []));
}
