// ---- charts ----
const renderer = report.points.length <= 3000 ? "svg" : "canvas";
const NARROW = 600; // pixels below which legends stand under a chart
const PRINTED = 680; // pixels between the margins of a sheet
const charts = {};
let dark = false, printing = false, shownPoints = [];
const paint = () => dark
  ? { ink: "#dde3ea", bar: "#6aa5f0", paper: "#14181d", palette: ["#7c9bff", "#38bdb0", "#9ad45c", "#ffe066"] }
  : { ink: "#222222", bar: "#1668c7", paper: "#ffffff", palette: ["#30428f", "#1f8f8c", "#6a9f33", "#c79a00"] };

// All charts anew, in the colours of the moment.
function drawAll() {
  for (const id of ["front", "cycles", "utilization", "grid", "bits"]) {
    charts[id]?.dispose();
    charts[id] = echarts.init(byId(id), dark ? "dark" : null, { renderer, width: printing ? width(id) : undefined });
  }
  charts.front.on("click", ({ data }) => data && choose(byPoint.get(data.point)));
  drawFront();
  drawGrid();
  drawBits();
  drawLayers(chosen);
}

// How wide a chart is on paper.
const width = (id) => (byId(id).classList.contains("half") ? PRINTED / 2 : PRINTED);
const draw = (id, option) => charts[id].setOption(
  { animation: false, backgroundColor: paint().paper, textStyle: { color: paint().ink }, ...option }, true);
const isNarrow = (id) => charts[id].getWidth() < NARROW;

// Axis numbers of few letters: 12k, 3M.
const short = (v) => Math.abs(v) < 1e4 ? String(+v.toPrecision(6)) : v.toLocaleString("en", { notation: "compact", maximumFractionDigits: 2 });
// Percentages of an axis: no more decimals than its steps need.
const axisNumber = (m) => (v) => (m.print === percent ? +(100 * v).toFixed(2) + " %" : short(v));

function tipOf(p) {
  const lines = known.filter((m) => m.value(p) !== null).map((m) => `${m.title}: ${m.print(m.value(p), p)}`);
  const div = document.createElement("div");
  for (const line of [`point ${named(p)}, ${p.family}`, ...lines]) div.append(line, document.createElement("br"));
  return div;
}

function extent(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return { min: low, max: high > low ? high : low + 1 };
}

function drawFront() {
  const [x, y, c] = ["across", "up", "colour"].map((id) => measure(byId(id).value));
  const frontOnly = byId("front-only").checked;
  shownPoints = report.points.filter(
    (p) => usable(p) && x.value(p) !== null && y.value(p) !== null && (p.pareto || !frontOnly));
  const colours = shownPoints.map(c.value).filter((v) => v !== null);
  const data = shownPoints.map((p) => ({
    value: [x.value(p), y.value(p), c.value(p)],
    point: p.point,
    symbolSize: p.pareto ? 12 : 9,
    itemStyle: p.pareto ? { opacity: 1, borderColor: paint().ink, borderWidth: 1.5 } : { opacity: 0.5 },
  }));
  const narrow = isNarrow("front");
  const { palette } = paint();
  const { min, max } = extent(colours);
  const legend = narrow
    ? { orient: "horizontal", left: "center", bottom: 0, itemWidth: 14, itemHeight: 110, text: [c.print(max), `${c.title}: ${c.print(min)}`] }
    : { orient: "vertical", right: 0, top: "middle", text: [c.title, ""] };
  draw("front", {
    grid: narrow
      ? { left: 8, right: 16, top: 34, bottom: 78, containLabel: true }
      : { left: 30, right: 130, top: 34, bottom: 36, containLabel: true },
    tooltip: { formatter: ({ data: d }) => tipOf(byPoint.get(d.point)), confine: true },
    toolbox: { show: !narrow && !printing, feature: { dataZoom: {}, restore: {}, saveAsImage: {} } },
    xAxis: { type: "value", name: x.title, nameLocation: "middle", nameGap: 28, scale: true,
      axisLabel: { formatter: axisNumber(x), hideOverlap: true } },
    yAxis: { type: "value", name: y.title, scale: true, nameTextStyle: { align: "left", padding: [0, 0, 0, -30] },
      axisLabel: { formatter: axisNumber(y) } },
    visualMap: colours.length && { type: "continuous", seriesIndex: 0, dimension: 2, min, max, calculable: !narrow && !printing,
      inRange: { color: palette }, formatter: (v) => c.print(v), textStyle: { color: paint().ink }, ...legend },
    series: [{ type: "scatter", data }, { id: "chosen", type: "scatter", silent: true, data: [] }],
  });
  ring();
}

// The ring around the chosen point.
function ring() {
  const place = shownPoints.indexOf(chosen);
  const [x, y] = ["across", "up"].map((id) => measure(byId(id).value));
  const data = place < 0 ? [] : [[x.value(chosen), y.value(chosen)]];
  const itemStyle = { color: "transparent", borderColor: paint().ink, borderWidth: 2 };
  charts.front.setOption({ series: [{ id: "chosen", symbol: "circle", symbolSize: 19, itemStyle, data }] });
}

// Arrow keys go from point to point across the scatter.
function stepAcross(by) {
  const x = measure(byId("across").value), y = measure(byId("up").value);
  const order = shownPoints.toSorted((p, q) => x.value(p) - x.value(q) || y.value(p) - y.value(q));
  if (!order.length) return;
  const place = order.indexOf(chosen);
  const next = order[place < 0 ? 0 : Math.min(Math.max(place + by, 0), order.length - 1)];
  choose(next);
  charts.front.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: shownPoints.indexOf(next) });
}

function drawLayers(p) {
  const names = report.layers.map((l) => l.layer);
  const bars = (id, title, values, print) => draw(id, {
    title: { text: title, textStyle: { fontSize: 13, color: paint().ink } },
    grid: { left: 8, right: 12, top: 40, bottom: 4, containLabel: true },
    tooltip: { valueFormatter: (v) => (v == null ? "–" : print(v)), confine: true },
    xAxis: { type: "category", data: names, axisLabel: { rotate: 60, interval: 0, fontSize: 11 } },
    yAxis: { type: "value", axisLabel: { formatter: axisNumber({ print }) } },
    series: [{ type: "bar", data: values, itemStyle: { color: paint().bar } }],
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
  const cell = charts[id].getWidth() / (across.length + 2);
  const text = ([, , v]) => (print === whole ? short(v) : print(v).replace(" %", ""));
  const fits = data.length <= 400 && data.every((d) => text(d).length * 6 <= cell);
  draw(id, {
    title: { text: title, textStyle: { fontSize: 13, color: paint().ink } },
    grid: { left: 8, right: 12, top: 40, bottom: 4, containLabel: true },
    tooltip: { formatter: ({ value: v }) => `${across[v[0]]}, ${up[v[1]]}: ${print(v[2])}`, confine: true },
    xAxis: { type: "category", data: across, axisLabel: { rotate: across.length > 10 ? 60 : 0, interval: 0, fontSize: 11 } },
    yAxis: { type: "category", data: up, axisLabel: { width: 150, overflow: "truncate", fontSize: 11 } },
    visualMap: data.length && { show: false, ...extent(data.map((d) => d[2])), inRange: { color: paint().palette } },
    series: [{ type: "heatmap", data, label: { show: fits, formatter: ({ value }) => text(value), fontSize: 10 } }],
  });
}
