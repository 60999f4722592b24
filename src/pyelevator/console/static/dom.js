// Elements, messages and questions. Nothing here or elsewhere makes HTML of text.

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(text, onclick, properties = {}) {
  return el("button", { type: "button", onclick, ...properties }, text);
}

export function link(view, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined));
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

export function table(caption, headings, rows) {
  const head = headings.map((each) => el("th", { scope: "col", class: each.number ? "number" : null }, each.text ?? each));
  const body = rows.map((row) => el("tr", {}, row.map((cell, index) => el("td", { class: headings[index].number ? "number" : null }, cell))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

const nameOf = (element) => element.id || element.getAttribute("href") || element.getAttribute("aria-label");

// Puts new content in place of the old. Where the same is there again, it keeps the focus and how far it was scrolled:
// views read again what they show, while somebody is in the middle of it.
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) && document.activeElement !== element ? nameOf(document.activeElement) : null;
  const scrolled = new Map([...element.querySelectorAll(".scroll")].map((each) => [nameOf(each), [each.scrollLeft, each.scrollTop]]));
  element.replaceChildren(...children);
  for (const each of element.querySelectorAll(".scroll")) each.scrollTo(...(scrolled.get(nameOf(each)) ?? [0, 0]));
  if (focused) [...element.querySelectorAll("*")].find((each) => nameOf(each) === focused)?.focus({ preventScroll: true });
}

let timer = null;

export function say(text, kind = "info") {
  const messages = document.getElementById("messages");
  clearTimeout(timer);
  messages.replaceChildren(el("p", { class: kind }, text));
  timer = setTimeout(() => messages.replaceChildren(), kind === "error" ? 15000 : 4000);
}

export function ask(text, yes) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  document.getElementById("ask-no").focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
