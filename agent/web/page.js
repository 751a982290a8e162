// The operator's page: polls /state.json once a second and draws it. North is up; the wheel zooms, dragging pans.
"use strict";
if (location.search) history.replaceState(null, "", location.pathname); // the token is a cookie now: not for the address bar
const $ = (id) => document.getElementById(id);
const KNOT = 1852 / 3600;
const COLOURS = { confirmed: "#ffd166", coasting: "#a0895a", tentative: "#56707f", ais: "#6db3f2", lost: "#444" };
const view = { scale: null, east: 0, north: 0 }; // pixels a metre, metres at the centre
let state = null, seen = 0, trails = new Map();

const metres = (lat, lon) => {
  const s = state.site, k = Math.PI / 180 * 6371008.8;
  return [(lon - s.lon) * k * Math.cos((lat + s.lat) / 2 * Math.PI / 180), (lat - s.lat) * k];
};

function fit() {
  let reach = 1500;
  for (const z of state.zones) for (const [lat, lon] of z.polygon) reach = Math.max(reach, Math.hypot(...metres(lat, lon)));
  for (const t of state.tracks) if (t.status !== "ais") reach = Math.max(reach, Math.min(Math.hypot(t.east_m, t.north_m), 15000));
  const c = $("map");
  view.scale = 0.45 * Math.min(c.clientWidth, c.clientHeight) / (reach * 1.1);
}

function draw() {
  const c = $("map"), dpr = window.devicePixelRatio || 1;
  if (c.width !== c.clientWidth * dpr || c.height !== c.clientHeight * dpr) { c.width = c.clientWidth * dpr; c.height = c.clientHeight * dpr; }
  const g = c.getContext("2d");
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  g.clearRect(0, 0, c.clientWidth, c.clientHeight);
  if (!state || !state.site) return;
  if (view.scale === null) fit();
  const xy = (e, n) => [c.clientWidth / 2 + (e - view.east) * view.scale, c.clientHeight / 2 - (n - view.north) * view.scale];
  rings(g, xy, c);
  for (const z of state.zones) {
    g.beginPath();
    z.polygon.forEach(([lat, lon], i) => { const p = xy(...metres(lat, lon)); i ? g.lineTo(...p) : g.moveTo(...p); });
    g.closePath(); g.fillStyle = "rgba(255,107,94,.12)"; g.fill(); g.strokeStyle = "#ff6b5e"; g.lineWidth = 1.2; g.stroke();
    const p = xy(...metres(...z.polygon[0])); g.fillStyle = "#ff9d94"; g.font = "12px system-ui, sans-serif"; g.fillText(z.name, p[0] + 4, p[1] - 4);
  }
  const alerted = new Set(state.alerts.map((a) => a.track));
  for (const t of state.tracks) track(g, xy, t, alerted.has(t.id));
  const own = xy(0, 0); g.fillStyle = "#fff"; g.beginPath(); g.arc(own[0], own[1], 4, 0, 7); g.fill();
}

function rings(g, xy, c) {
  const half = Math.min(c.clientWidth, c.clientHeight) / 2 / view.scale;
  const step = [100, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000].find((s) => half / s <= 5) || 100000;
  g.strokeStyle = "#1d3242"; g.fillStyle = "#56707f"; g.font = "11px system-ui, sans-serif"; g.lineWidth = 1;
  const [x, y] = xy(0, 0);
  for (let r = step; r < half * 4; r += step) {
    g.beginPath(); g.arc(x, y, r * view.scale, 0, 2 * Math.PI); g.stroke();
    g.fillText(r >= 1000 ? r / 1000 + " km" : r + " m", x + 4, y - r * view.scale - 3);
  }
}

function track(g, xy, t, alerted) {
  const [x, y] = xy(t.east_m, t.north_m), colour = alerted ? "#ff6b5e" : COLOURS[t.status] || "#ccc";
  g.strokeStyle = g.fillStyle = colour; g.lineWidth = alerted ? 2 : 1.3;
  const trail = trails.get(t.id) || [];
  g.globalAlpha = 0.5; g.beginPath(); trail.forEach(([e, n], i) => { const p = xy(e, n); i ? g.lineTo(...p) : g.moveTo(...p); }); g.stroke(); g.globalAlpha = 1;
  if (t.bearing_deg !== undefined) { // a bearing, not a position: drawn as a ray
    const b = t.bearing_deg * Math.PI / 180; g.setLineDash([4, 4]); g.beginPath(); g.moveTo(...xy(0, 0)); g.lineTo(...xy(20000 * Math.sin(b), 20000 * Math.cos(b))); g.stroke(); g.setLineDash([]); return;
  }
  ellipse(g, x, y, t.cov);
  g.beginPath();
  if (t.status === "ais") { g.moveTo(x, y - 6); g.lineTo(x + 5, y + 5); g.lineTo(x - 5, y + 5); g.closePath(); } else g.rect(x - 4, y - 4, 8, 8);
  g.stroke();
  const b = t.cog_deg * Math.PI / 180, d = t.sog_mps * 60 * view.scale; // one minute ahead
  g.beginPath(); g.moveTo(x, y); g.lineTo(x + d * Math.sin(b), y - d * Math.cos(b)); g.stroke();
  g.font = "11px system-ui, sans-serif"; g.fillText(t.name || (t.mmsi ? String(t.mmsi) : "T" + t.id), x + 8, y - 6);
}

function ellipse(g, x, y, cov) { // two sigma
  const [a, b, d] = [cov[0][0], cov[0][1], cov[1][1]], m = (a + d) / 2, s = Math.sqrt(((a - d) / 2) ** 2 + b * b);
  g.save(); g.translate(x, y); g.rotate(-0.5 * Math.atan2(2 * b, a - d)); g.globalAlpha = 0.35; g.beginPath();
  g.ellipse(0, 0, Math.min(2 * Math.sqrt(m + s) * view.scale, 4000), Math.min(2 * Math.sqrt(Math.max(m - s, 0)) * view.scale, 4000), 0, 0, 7); g.stroke(); g.restore();
}

const el = (tag, text, cls) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };
const row = (table, cells) => { const r = table.insertRow(); for (const c of cells) { const d = r.insertCell(); c instanceof Node ? d.append(c) : d.append(String(c)); } };
const level = (s) => ({ ok: "ok", starting: "warn", degraded: "warn" }[s] || "bad");

function panels() {
  $("site").textContent = `${state.site.name}  ${state.site.lat.toFixed(4)}, ${state.site.lon.toFixed(4)}`;
  $("exercise").hidden = !state.site.exercise;
  $("clock").textContent = new Date(state.at * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  const p = state.status.publish || {};
  $("link").textContent = (p.connected ? "picture connected" : "picture NOT connected") + (p.queued ? `, ${p.queued} queued` : "");
  const cards = new Map();
  for (const a of state.alerts) (cards.get(a.situation) || cards.set(a.situation, []).get(a.situation)).push(a);
  $("alerts").replaceChildren(...[...cards.values()].map((list) => {
    const card = el("div", undefined, "card " + (list.some((a) => a.severity === "high") ? "high" : list[0].severity)), a = list[0];
    card.append(el("b", list.map((x) => x.rule).join(" + ") + `: track ${a.track}`), el("span", `${a.lat.toFixed(4)}, ${a.lon.toFixed(4)}, ${a.likelihood}`, "dim"));
    const ul = el("ul"); for (const x of list) for (const r of x.reasons) ul.append(el("li", r)); card.append(ul); return card;
  }));
  if (!state.alerts.length) $("alerts").append(el("span", "none open", "ok"));
  const sensors = $("sensors"); sensors.replaceChildren();
  for (const [name, s] of Object.entries(state.status.sensors || {})) row(sensors, [name, el("span", s.state, level(s.state)), s.evidence]);
  for (const [name, r] of Object.entries(state.status.rules || {})) if (r.suspended) row(sensors, ["rule " + name, el("span", "suspended", "bad"), r.evidence]);
  const tracks = $("tracks"); tracks.replaceChildren();
  for (const t of state.tracks.slice(0, 60)) row(tracks, [t.name || t.mmsi || "T" + t.id, t.status, `${(t.sog_mps / KNOT).toFixed(1)} kn ${t.cog_deg.toFixed(0)}°`, t.sources.join(" ")]);
}

function cameras() {
  const box = $("cameras");
  for (const name of state.cameras) if (!document.getElementById("cam-" + name)) {
    const fig = el("div", undefined, "camera"), img = el("img"); img.id = "cam-" + name; img.alt = "Camera " + name; fig.append(img); box.append(fig);
    const next = () => { img.src = `camera/${name}.jpg?${Date.now()}`; };
    img.onload = () => setTimeout(next, 400); img.onerror = () => setTimeout(next, 1500); next();
  }
}

async function poll() {
  try {
    const s = await (await fetch("state.json", { cache: "no-store" })).json();
    if (s.site) {
      state = s; seen = Date.now();
      const live = new Set();
      for (const t of s.tracks) { live.add(t.id); const l = trails.get(t.id) || []; l.push([t.east_m, t.north_m]); if (l.length > 120) l.shift(); trails.set(t.id, l); }
      for (const id of trails.keys()) if (!live.has(id)) trails.delete(id);
      panels(); cameras();
    }
  } catch { /* said below: the page shows that it has no data */ }
  $("stale").hidden = Date.now() - seen < 5000;
  draw();
  setTimeout(poll, 1000);
}

const map = $("map");
map.addEventListener("wheel", (e) => { e.preventDefault(); if (view.scale) { view.scale *= Math.exp(-e.deltaY / 400); draw(); } }, { passive: false });
map.addEventListener("pointermove", (e) => { if (e.buttons && view.scale) { view.east -= e.movementX / view.scale; view.north += e.movementY / view.scale; draw(); } });
window.addEventListener("resize", draw);
poll();
