"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const byPoint = new Map(report.points.map((p) => [p.point, p]));

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
const named = (p) => `${p.point}: ${coding(p)}, ${p.rows}×${p.cols}`;
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
const hasAccuracy = known.some((m) => m.key === "accuracy");
