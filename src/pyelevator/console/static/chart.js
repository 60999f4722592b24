// A chart of lines over time, as SVG: the newest value is at the right edge, and the scale follows the highest one.

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 170;
const LEFT = 76;
const RIGHT = 4;
const TOP = 10;
const BOTTOM = 22;

function svg(tag, properties, text) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

// A round number that is not below a value: a step times a power of ten, of a unit such as 1024 where figures have one.
export function ceiling(value, base = 1) {
  if (!(value > 0)) return 1;
  const unit = base > 1 ? base ** Math.max(0, Math.floor(Math.log(value) / Math.log(base))) : 1;
  const power = unit * 10 ** Math.floor(Math.log10(value / unit));
  return STEPS.map((step) => step * power).find((each) => each >= value * 0.9999);
}

export class Chart {
  // lines: [{name, key}]; format: a value as text; seconds: how much time is shown; base: of the units, such as 1024.
  constructor(title, lines, format, seconds, base = 1) {
    Object.assign(this, { title, lines, format, seconds, base });
    this.plot = svg("svg", { role: "img", class: "plot", height: HEIGHT });
    this.legend = document.createElement("dl");
    this.legend.className = "legend";
    const heading = document.createElement("h2");
    heading.textContent = title;
    this.element = document.createElement("section");
    this.element.className = "chart";
    this.element.setAttribute("aria-label", title);
    this.element.append(heading, this.legend, this.plot);
  }

  draw(samples, now) {
    const width = this.plot.clientWidth || 600;
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const values = samples.flatMap((each) => this.lines.map(({ key }) => each[key])).filter((each) => each !== null);
    const top = ceiling(Math.max(0, ...values), this.base);
    const x = (time) => LEFT + (width - LEFT - RIGHT) * (1 - (now - time) / 1000 / this.seconds);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const grid = [0, 0.5, 1].flatMap((share) => [
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(top * share), y2: y(top * share), class: "grid" }),
      svg("text", { x: LEFT - 8, y: y(top * share) + 4, class: "tick end" }, this.format(top * share)),
    ]);
    const times = [this.seconds, this.seconds / 2, 0].map((ago) => {
      const text = ago ? `−${ago / 60 >= 1 ? `${ago / 60} min` : `${ago} s`}` : "now";
      return svg("text", { x: x(now - ago * 1000), y: HEIGHT - 5, class: `tick ${ago === this.seconds ? "" : ago ? "middle" : "end"}` }, text);
    });
    const lines = this.lines.map(({ key }, index) => svg("path", { d: path(samples, key, x, y), class: `line line-${index + 1}` }));
    this.plot.replaceChildren(...grid, ...times, ...lines);
    const newest = samples.at(-1) ?? {};
    const said = this.lines.map(({ name, key }) => [name, this.format(newest[key] ?? null)]);
    this.plot.setAttribute("aria-label", `${this.title}: ${said.map((each) => each.join(" ")).join(", ")}`);
    this.legend.replaceChildren(...said.map(([name, value], index) => {
      const term = document.createElement("dt");
      term.className = `line-${index + 1}`;
      term.textContent = name;
      const description = document.createElement("dd");
      description.textContent = value;
      const pair = document.createElement("div");
      pair.append(term, description);
      return pair;
    }));
  }
}

// A line through the samples; where a value is missing, it begins anew.
function path(samples, key, x, y) {
  let isOpen = false;
  return samples.filter((each) => x(each.time) >= LEFT).map((each) => {
    if (each[key] === null || each[key] === undefined) return ((isOpen = false), "");
    const command = isOpen ? "L" : "M";
    isOpen = true;
    return `${command}${x(each.time).toFixed(1)} ${y(each[key]).toFixed(1)}`;
  }).join("");
}
