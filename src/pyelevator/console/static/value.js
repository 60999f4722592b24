// One value: shown and edited as text, JSON, msgpack, text with escapes or hexadecimal digits.

import { get, send } from "./api.js";
import { ask, button, el, say } from "./dom.js";
import { bytes } from "./units.js";

const NAMES = { text: "Text", json: "JSON", msgpack: "msgpack", escaped: "Escapes", hex: "Hex" };
let session = null;
let changed = null;
let panel = null;
let state = null; // {db, key, isNew, close, read: what the server gave, format, area, ...} of the value that is shown

export function setUp(opened, options) {
  session = opened;
  changed = options.changed;
}

export function isDirty() {
  return state !== null && state.area !== undefined && (state.area.value !== state.original || Boolean(state.keyInput?.value));
}

export function discard() {
  state = null;
}

export async function show(element, wanted) {
  panel = element;
  if (wanted.key === null) {
    state = null;
    panel.replaceChildren(el("p", { class: "empty" }, "Choose a key to see its value."));
    return;
  }
  if (state && state.db === wanted.db && state.key === wanted.key && state.isNew === wanted.isNew) return;
  state = { ...wanted };
  if (wanted.isNew) return render({ key: "", size: 0, digest: null, truncated: false, format: "text", texts: { text: "", json: "", msgpack: "", escaped: "", hex: "" } });
  panel.replaceChildren(el("p", { class: "empty" }, "Loading…"));
  const mine = state;
  try {
    const read = await get("value", { db: wanted.db, key: wanted.key });
    if (mine === state) render(read);
  } catch (error) {
    if (mine !== state) return;
    if (error.status === 404) return renderMissing();
    state = null;
    throw error;
  }
}

function renderMissing() {
  state = { db: state.db, key: state.key, isNew: state.isNew, close: state.close };
  panel.replaceChildren(heading(), el("p", { class: "empty" }, "There is no such key any more."));
}

function heading() {
  return el("div", { class: "heading" },
    button("‹ Keys", state.close, { class: "back plain" }),
    el("h2", {}, state.isNew ? "New key" : state.key === "" ? "(empty key)" : state.key));
}

function render(read) {
  const canEdit = session.write && !read.truncated;
  const area = el("textarea", { id: "text", spellcheck: "false", autocomplete: "off", readonly: !canEdit, "aria-label": "Value", oninput: update });
  state = { ...state, read, area, canEdit, format: read.format, available: Object.keys(read.texts) };
  const formats = el("div", { class: "formats", role: "group", "aria-label": "Format" },
    Object.entries(NAMES).map(([name, title]) => button(title, () => change(name), { "data-format": name })));
  const saveButton = button("Save", save, { class: "primary save" });
  const revertButton = button("Revert", revert, { class: "revert" });
  state.parts = { formats, saveButton, revertButton, meta: el("p", { class: "meta" }), conflict: el("div", { role: "alert" }) };
  if (state.isNew) state.keyInput = el("input", { id: "new-key", autocomplete: "off", spellcheck: "false", oninput: update });
  const actions = canEdit
    ? [saveButton, revertButton]
    : [];
  const download = el("a", { class: "button", href: `/api/download?${new URLSearchParams({ db: state.db, key: state.key })}`, download: "" }, "Download");
  const deleteButton = canEdit ? button("Delete…", remove, { class: "danger delete" }) : null;
  panel.replaceChildren(
    heading(),
    ...(state.isNew ? [el("label", { for: "new-key" }, "Key"), state.keyInput] : []),
    state.parts.meta, state.parts.conflict, formats, area,
    el("div", { class: "actions" }, actions, state.isNew ? [] : [download, deleteButton]),
  );
  fill(read.texts[read.format]);
  if (state.isNew) state.keyInput.focus();
  else if (!document.activeElement?.checkVisibility() || document.activeElement === document.body) area.focus({ preventScroll: true });
}

function fill(text) {
  state.area.value = text;
  state.original = state.area.value;
  update();
}

function update() {
  const { read, parts, format, available } = state;
  for (const each of parts.formats.children) {
    each.setAttribute("aria-pressed", String(each.dataset.format === format));
    each.disabled = !available.includes(each.dataset.format);
  }
  parts.saveButton.disabled = !(isDirty() || state.isNew);
  parts.revertButton.disabled = !isDirty();
  const notes = [state.isNew ? "not saved yet" : `${bytes(read.size)}${read.size < 1024 ? "" : ` (${read.size.toLocaleString("en")} bytes)`}`];
  if (read.truncated) notes.push("only the beginning is shown; download it to see the rest");
  else if (!state.isNew && isDirty()) notes.push("changed, not saved");
  parts.meta.textContent = notes.join(" · ");
}

// Another format: of what was read, or of what has been typed, which the console converts.
async function change(name) {
  const mine = state;
  if (state.area.value === state.original) {
    state.format = name;
    return fill(state.read.texts[name]);
  }
  try {
    const { text, formats } = await send("POST", "convert", { from: state.format, to: name, text: state.area.value });
    if (mine !== state) return;
    state.format = name;
    state.available = formats;
    state.area.value = text;
    update();
  } catch (error) {
    say(error.message, "error");
  }
}

function revert() {
  state.available = Object.keys(state.read.texts);
  state.format = state.read.format;
  fill(state.read.texts[state.format]);
  state.area.focus();
}

export async function save() {
  if (!state?.canEdit || !(isDirty() || state.isNew)) return;
  const key = state.isNew ? state.keyInput.value : state.key;
  if (state.isNew && key === "") {
    say("Give the key a name first.", "error");
    return state.keyInput.focus();
  }
  const mine = state;
  const text = state.area.value;
  state.parts.saveButton.disabled = true;
  try {
    const read = await send("PUT", "value", { db: state.db, key, format: state.format, text, digest: state.read.digest });
    say("Saved.");
    if (mine !== state) return;
    const { format, area } = state;
    const typed = area.value === text ? null : area.value; // since it was sent
    const selection = [area.selectionStart, area.selectionEnd];
    const hadFocus = document.activeElement === area;
    state = { ...state, key: read.key, isNew: false, keyInput: undefined };
    render({ ...read, format: format in read.texts ? format : read.format });
    if (typed !== null) state.area.value = typed;
    if (hadFocus) state.area.setSelectionRange(...selection);
    update();
    await changed(read.key);
  } catch (error) {
    if (mine === state) failed(error);
  }
}

async function remove() {
  if (!(await ask(`Delete ${state.key}?`, "Delete"))) return;
  const mine = state;
  try {
    await send("DELETE", "value", { db: state.db, key: state.key, digest: state.read.digest });
    say("Deleted.");
    if (mine !== state) return;
    state = null;
    await changed(null);
  } catch (error) {
    if (mine === state) failed(error);
  }
}

function failed(error) {
  if (error.name === "AbortError") return;
  update();
  if (error.status === 409) showConflict(error.body.current);
  else say(error.message, "error");
}

// Another client was first. Either their value is shown, or mine is kept, to be saved on top of theirs.
function showConflict(current) {
  const isGone = current.digest === null;
  const theirs = isGone ? el("p", {}, "They deleted it.") : el("pre", { tabindex: 0, "aria-label": "The value now" }, current.texts[current.format]);
  const takeTheirs = () => {
    if (isGone) return (state = null, changed(null));
    state = { ...state, isNew: false, keyInput: undefined, key: current.key };
    render(current);
    return changed(current.key);
  };
  const keepMine = () => {
    const { area, format, available } = state;
    state.read = isGone ? { ...state.read, digest: null } : current;
    state.original = null; // whatever is typed differs from theirs
    Object.assign(state, { area, format, available });
    state.parts.conflict.replaceChildren();
    update();
    area.focus();
  };
  state.parts.conflict.replaceChildren(el("div", { class: "conflict" },
    el("p", {}, el("strong", {}, "Another client changed this value after you opened it."), " Nothing was written. It is now:"),
    theirs,
    el("div", { class: "actions" },
      button(isGone ? "Accept" : "Show theirs", takeTheirs, { class: "theirs" }),
      button("Keep mine, to save it over theirs", keepMine, { class: "mine" }))));
  state.parts.conflict.querySelector("button").focus();
}
