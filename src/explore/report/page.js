// ---- page ----
let chosen = null;

function choose(p) {
  chosen = p ?? null;
  byId("chosen").textContent = p ? named(p) : "–";
  byId("facts").textContent = p ? facts(p) : "";
  byId("commands").textContent = p?.commands.join("\n") || "It cannot be built.";
  byId("copy").hidden = !p?.commands.length;
  byId("copied").textContent = "";
  mark(p);
  ring();
  drawLayers(p);
}

function facts(p) {
  const of = ["lut", "dsp", "bram", "images_per_s", "accuracy"].map((key) => known.find((m) => m.key === key));
  const values = of.filter((m) => m && m.value(p) !== null).map((m) => `${m.title} ${m.print(m.value(p), p)}`);
  const place = p === report.points[report.knee] ? ["the knee of the front"] : p.pareto ? ["on the front"] : [];
  return [...place, ...values, remark(p)].filter(Boolean).join("; ");
}

async function copy() {
  const text = byId("commands").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = "copied";
  } catch { // the browser does not allow it: marked, one key is left to press
    getSelection().selectAllChildren(byId("commands"));
    byId("copied").textContent = "marked, to be copied";
  }
}

const system = matchMedia("(prefers-color-scheme: dark)");
function colours() {
  const wanted = byId("theme").value;
  dark = !printing && (wanted === "dark" || (wanted === "system" && system.matches));
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  drawAll();
}

function print(now) {
  printing = now;
  for (const details of document.querySelectorAll("details")) details.open = now || details.dataset.open === "yes";
  colours();
}

function fill(select, options, chosen) {
  for (const m of options) select.add(new Option(m.title, m.key, false, m.key === chosen));
}

function start() {
  const parts = [`${report.points.length} points, ${report.front.length} on the front over ${report.task.pareto.join(", ")}`];
  if (report.float_accuracy !== null) parts.push(`float network: ${percent(report.float_accuracy)} of ${report.images} images`);
  if (report.stopped) parts.push("stopped before the end");
  byId("summary").textContent = parts.join("; ") + `; vgg2rtl ${report.version}`;
  for (const note of report.notes) byId("notes").append(Object.assign(document.createElement("li"), { textContent: note }));
  fill(byId("across"), known, "lut");
  fill(byId("up"), known, hasAccuracy ? "accuracy" : "images_per_s");
  fill(byId("colour"), known, "images_per_s");
  fill(byId("measure"), known, hasAccuracy ? "accuracy" : "lut");
  for (const id of ["across", "up", "colour", "front-only"]) byId(id).addEventListener("change", drawFront);
  byId("measure").addEventListener("change", drawGrid);
  byId("filter").addEventListener("input", filter);
  byId("copy").addEventListener("click", copy);
  byId("theme").addEventListener("change", colours);
  system.addEventListener("change", colours);
  byId("front").addEventListener("keydown", (e) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (by) e.preventDefault(), stepAcross(by);
  });
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => printing || (details.dataset.open = details.open ? "yes" : "no"));
  }
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  addEventListener("resize", () => printing || drawAll());
  filter();
  colours();
  choose(report.points[report.knee] ?? report.points.find(usable));
}
start();
