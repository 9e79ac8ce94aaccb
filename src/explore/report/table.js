// ---- table ----
const body = document.querySelector("#points tbody");
const lines = new Map();
for (const p of report.points) {
  const tr = body.insertRow();
  tr.dataset.point = p.point;
  tr.tabIndex = -1;
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
  th.scope = "col";
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

// One row takes part in the order of the Tab key: the chosen one. Arrows go on from there.
function mark(p) {
  for (const tr of body.querySelectorAll("tr.chosen")) {
    tr.classList.remove("chosen");
    tr.tabIndex = -1;
  }
  const tr = p && lines.get(p.point);
  tr?.classList.add("chosen");
  if (!tr) return;
  tr.tabIndex = 0;
  const box = body.closest(".scroll"), top = tr.offsetTop - head.offsetHeight;
  if (top < box.scrollTop || top + 2 * tr.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top;
}

body.addEventListener("keydown", (e) => {
  const shown = [...body.rows].filter((tr) => !tr.hidden);
  const place = shown.indexOf(e.target.closest("tr"));
  const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: shown.length - 1, Enter: place, " ": place }[e.key];
  if (to === undefined || !shown[to]) return;
  e.preventDefault();
  choose(byPoint.get(Number(shown[to].dataset.point)));
  shown[to].focus();
});
