"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// What is known of a point: key, title, value, and how to print it. `more`: more of it is better.
const percent = (v) => (100 * v).toFixed(2) + " %";
const whole = (v) => v.toLocaleString("en");
const net = (key) => (p) => p.network?.[key] ?? null;
const area = (key) => (p) => p.resources?.[key] ?? null;
const measures = [
  { key: "lut", title: "LUT", value: area("lut"), print: whole },
  { key: "ff", title: "FF", value: area("ff"), print: whole },
  { key: "carry", title: "carry", value: area("carry"), print: whole },
  { key: "dsp", title: "DSP", value: area("dsp"), print: whole },
  { key: "bram", title: "BRAM", value: area("bram"), print: whole },
  { key: "memory_bits", title: "on-chip bits", value: (p) => p.memory_bits, print: whole },
  { key: "clock_mhz", title: "MHz", value: (p) => p.clock_mhz, print: (v) => v.toFixed(1), more: true },
  { key: "cycles", title: "cycles / image", value: net("cycles"), print: whole },
  { key: "images_per_s", title: "images / s", value: (p) => p.images_per_s, print: (v) => v.toPrecision(4), more: true },
  { key: "utilization", title: "utilization", value: net("utilization"), print: percent, more: true },
  { key: "weight_bytes", title: "weight bytes / image", value: net("weight_bytes"), print: whole },
  { key: "act_bytes", title: "activation bytes / image", value: net("act_bytes"), print: whole },
  { key: "weight_bits_total", title: "model bits", value: (p) => p.weight_bits_total, print: whole },
  { key: "accuracy", title: "accuracy", value: (p) => p.accuracy, print: percent, more: true },
];
const coding = (p) => `W${p.weights}A${p.acts}` + (p.assignment ? " " + p.assignment : "");
const lacks = (p) => p.lacks.map((l) => `${l.resource} ${l.needs} of ${l.has}`).join(", ");
const remark = (p) => [p.refused, p.failed, lacks(p) && "lacks " + lacks(p)].filter(Boolean).join("; ");
const columns = [
  { key: "point", title: "point", value: (p) => p.point, print: String },
  { key: "coding", title: "coding", value: coding, print: String, text: true },
  { key: "array", title: "array", value: (p) => p.rows * p.cols, print: (v, p) => `${p.rows}×${p.cols}` },
  { key: "bus_bits", title: "bus", value: (p) => p.bus_bits, print: String },
  { key: "family", title: "family", value: (p) => p.family, print: String, text: true },
  { key: "requantize", title: "requantize", value: (p) => p.requantize, print: String, text: true },
  { key: "multipliers", title: "products", value: (p) => p.multipliers + (p.config?.pack > 1 ? `/${p.config.pack}` : ""), print: String, text: true },
  ...measures,
  { key: "source", title: "area from", value: (p) => p.source ?? "", print: String, text: true },
  { key: "remark", title: "remark", value: remark, print: String, text: true },
];
const known = measures.filter((m) => report.points.some((p) => m.value(p) !== null));
const measure = (key) => known.find((m) => m.key === key) ?? known[0];
const usable = (p) => !p.refused && p.fits !== false;

// ---- charts ----
const renderer = report.points.length <= 3000 ? "svg" : "canvas";
const charts = {};
for (const id of ["front", "cycles", "utilization", "grid", "bits"]) {
  charts[id] = echarts.init(byId(id), null, { renderer });
}
addEventListener("resize", () => Object.values(charts).forEach((c) => c.resize()));
const draw = (id, option) => charts[id].setOption({ animation: false, ...option }, true);
const palette = ["#30428f", "#1f8f8c", "#7fbf4d", "#f2c80f"];

function fill(select, options, chosen) {
  for (const m of options) select.add(new Option(m.title, m.key, false, m.key === chosen));
}
const hasAccuracy = known.some((m) => m.key === "accuracy");
fill(byId("across"), known, "lut");
fill(byId("up"), known, hasAccuracy ? "accuracy" : "images_per_s");
fill(byId("colour"), known, "images_per_s");
fill(byId("measure"), known, hasAccuracy ? "accuracy" : "lut");

function drawFront() {
  const [x, y, c] = ["across", "up", "colour"].map((id) => measure(byId(id).value));
  const frontOnly = byId("front-only").checked;
  const shown = report.points.filter(
    (p) => usable(p) && x.value(p) !== null && y.value(p) !== null && (p.pareto || !frontOnly));
  const colours = shown.map(c.value).filter((v) => v !== null);
  const data = shown.map((p) => ({
    value: [x.value(p), y.value(p), c.value(p)],
    point: p.point,
    symbol: p.pareto ? "circle" : "emptyCircle",
    symbolSize: p.pareto ? 11 : 8,
  }));
  const tip = ({ data: d }) => {
    const p = byPoint.get(d.point);
    const lines = known.filter((m) => m.value(p) !== null).map((m) => `${m.title}: ${m.print(m.value(p), p)}`);
    const div = document.createElement("div");
    const head = `point ${p.point}: ${coding(p)}, ${p.rows}×${p.cols}, ${p.family}`;
    for (const line of [head, ...lines]) div.append(line, document.createElement("br"));
    return div;
  };
  const low = colours.reduce((a, b) => Math.min(a, b), Infinity);
  const high = colours.reduce((a, b) => Math.max(a, b), -Infinity);
  draw("front", {
    grid: { left: 90, right: 130, top: 30, bottom: 55 },
    tooltip: { formatter: tip },
    toolbox: { feature: { dataZoom: {}, restore: {}, saveAsImage: {} } },
    xAxis: { type: "value", name: x.title, nameLocation: "middle", nameGap: 32, scale: true },
    yAxis: { type: "value", name: y.title, scale: true, axisLabel: { formatter: (v) => y.print === percent ? percent(v) : v } },
    visualMap: colours.length && { dimension: 2, min: low, max: high > low ? high : low + 1, calculable: true, right: 0,
      top: "middle", text: [c.title, ""], inRange: { color: palette }, formatter: (v) => c.print(v) },
    series: [{ type: "scatter", data }],
  });
}

function drawLayers(p) {
  byId("chosen").textContent = p ? `${p.point}: ${coding(p)}, ${p.rows}×${p.cols}` : "–";
  const names = report.layers.map((l) => l.layer);
  const bars = (id, title, values, print) => draw(id, {
    title: { text: title, textStyle: { fontSize: 13 } },
    grid: { left: 80, right: 20, top: 40, bottom: 70 },
    tooltip: { valueFormatter: (v) => v == null ? "–" : print(v) },
    xAxis: { type: "category", data: names, axisLabel: { rotate: 60, interval: 0 } },
    yAxis: { type: "value", axisLabel: { formatter: (v) => print(v) } },
    series: [{ type: "bar", data: values, itemStyle: { color: "#1668c7" } }],
  });
  bars("cycles", "cycles an image", p?.network?.layer_cycles ?? [], whole);
  bars("utilization", "share of the array's peak", p?.network?.layer_utilization ?? [], percent);
}

// The best value of a measure at each W and A, over everything else; uniform widths only.
function drawGrid() {
  const m = measure(byId("measure").value);
  const of = (key) => [...new Set(report.points.map((p) => p[key]))].sort((a, b) => a - b);
  const [ws, as] = [of("weights"), of("acts")];
  const best = new Map();
  for (const p of report.points) {
    const v = m.value(p);
    if (p.assignment || !usable(p) || v === null) continue;
    const cell = [ws.indexOf(p.weights), as.indexOf(p.acts)].join();
    const before = best.get(cell);
    if (before === undefined || (m.more ? v > before : v < before)) best.set(cell, v);
  }
  const data = [...best].map(([cell, v]) => [...cell.split(",").map(Number), v]);
  heatMap("grid", `${m.title}, ${m.more ? "most" : "least"}`, ws.map((w) => "W" + w), as.map((a) => "A" + a), data, m.print);
}

// Weight bits of every layer, one row a coding.
function drawBits() {
  const codings = new Map();
  for (const p of report.points) {
    const name = p.assignment ? `${p.assignment} A${p.acts}` : `W${p.weights}`;
    if (p.layer_bits.length) codings.set(name, p.layer_bits);
  }
  const rows = [...codings].slice(0, 60);
  const data = rows.flatMap(([, bits], y) => bits.map((b, x) => [x, y, b]));
  heatMap("bits", "weight bits", report.layers.map((l) => l.layer), rows.map((r) => r[0]), data, String);
}

function heatMap(id, title, across, up, data, print) {
  const values = data.map((d) => d[2]);
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  draw(id, {
    title: { text: title, textStyle: { fontSize: 13 } },
    grid: { left: Math.min(190, 20 + 7 * Math.max(...up.map((u) => u.length), 2)), right: 20, top: 40, bottom: 60 },
    tooltip: { formatter: ({ value: v }) => `${across[v[0]]}, ${up[v[1]]}: ${print(v[2])}` },
    xAxis: { type: "category", data: across, axisLabel: { rotate: across.length > 10 ? 60 : 0, interval: 0 } },
    yAxis: { type: "category", data: up },
    visualMap: values.length && { show: false, min: low, max: high > low ? high : low + 1, inRange: { color: palette } },
    series: [{ type: "heatmap", data, label: { show: data.length <= 400, formatter: ({ value: v }) => print(v[2]).replace(" %", ""), fontSize: 10 } }],
  });
}

// ---- table ----
const byPoint = new Map(report.points.map((p) => [p.point, p]));
const body = document.querySelector("#points tbody");
const lines = new Map();
for (const p of report.points) {
  const tr = body.insertRow();
  tr.dataset.point = p.point;
  tr.className = [p.pareto && "front", p.refused && "refused"].filter(Boolean).join(" ");
  for (const c of columns) {
    const td = tr.insertCell(), v = c.value(p);
    if (c.text) td.className = "text";
    td.textContent = v === null ? "–" : c.print(v, p);
  }
  tr.addEventListener("click", () => choose(p));
  lines.set(p.point, tr);
}
const head = document.querySelector("#points thead").insertRow();
for (const c of columns) {
  const th = document.createElement("th"), button = document.createElement("button");
  button.textContent = c.title;
  button.dataset.key = c.key;
  if (c.text) th.className = "text";
  button.addEventListener("click", () => sort(c, th));
  th.append(button);
  head.append(th);
}

function sort(column, th) {
  const down = th.ariaSort === "ascending";
  for (const other of head.cells) other.ariaSort = null;
  th.ariaSort = down ? "descending" : "ascending";
  const order = (a, b) => (column.text ? a.localeCompare(b) : a - b);
  const sorted = report.points.toSorted((p, q) => {
    const [a, b] = [column.value(p), column.value(q)];
    if (a === null || b === null) return (a === null) - (b === null); // unknown values last
    return down ? order(b, a) : order(a, b);
  });
  body.append(...sorted.map((p) => lines.get(p.point)));
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const tr of lines.values()) {
    const text = tr.textContent.toLowerCase();
    tr.hidden = !words.every((w) => text.includes(w));
    shown += !tr.hidden;
  }
  byId("shown").textContent = `${shown} of ${lines.size} points`;
}

function choose(p) {
  document.querySelector("tr.chosen")?.classList.remove("chosen");
  if (p) lines.get(p.point).classList.add("chosen");
  drawLayers(p);
}

// ---- start ----
const parts = [`${report.points.length} points, ${report.front.length} on the front over ${report.task.pareto.join(", ")}`];
if (report.float_accuracy !== null) parts.push(`float network: ${percent(report.float_accuracy)} of ${report.images} images`);
if (report.stopped) parts.push("stopped before the end");
byId("summary").textContent = parts.join("; ") + `; vgg2rtl ${report.version}`;
for (const note of report.notes) byId("notes").append(Object.assign(document.createElement("li"), { textContent: note }));
for (const id of ["across", "up", "colour", "front-only"]) byId(id).addEventListener("change", drawFront);
byId("measure").addEventListener("change", drawGrid);
byId("filter").addEventListener("input", filter);
charts.front.on("click", ({ data }) => data && choose(byPoint.get(data.point)));
drawFront();
drawGrid();
drawBits();
filter();
choose(report.points.find((p) => p.pareto) ?? report.points.find(usable));
