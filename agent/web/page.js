// The operator's page: polls /state.json once a second and draws it. North is up; wheel, pinch and buttons zoom, dragging pans.
"use strict";
if (location.search) history.replaceState(null, "", location.pathname); // the token is a cookie now: not for the address bar
const $ = (id) => document.getElementById(id);
const KNOT = 1852 / 3600;
const SEVERITY = { high: 0, medium: 1, low: 2 }, STATUS = { confirmed: 0, coasting: 1, tentative: 2, ais: 3 };
const view = { scale: null, east: 0, north: 0 }; // pixels a metre, metres at the centre
let state = null, seen = 0, refused = false, trails = new Map(), labels = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name);
const metres = (lat, lon) => {
  const s = state.site, k = Math.PI / 180 * 6371008.8;
  return [(lon - s.lon) * k * Math.cos((lat + s.lat) / 2 * Math.PI / 180), (lat - s.lat) * k];
};

function fit() {
  let reach = 1500;
  for (const z of state.zones) for (const [lat, lon] of z.polygon) reach = Math.max(reach, Math.hypot(...metres(lat, lon)));
  for (const t of state.tracks) if (t.status !== "ais") reach = Math.max(reach, Math.min(Math.hypot(t.east_m, t.north_m), 15000));
  const c = $("map");
  Object.assign(view, { scale: 0.45 * Math.min(c.clientWidth, c.clientHeight) / (reach * 1.1), east: 0, north: 0 });
}

function draw() {
  const c = $("map"), dpr = window.devicePixelRatio || 1;
  if (c.width !== c.clientWidth * dpr || c.height !== c.clientHeight * dpr) { c.width = c.clientWidth * dpr; c.height = c.clientHeight * dpr; }
  const g = c.getContext("2d");
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  g.clearRect(0, 0, c.clientWidth, c.clientHeight);
  if (!state || !state.site) return;
  if (view.scale === null) fit();
  labels = [];
  const xy = (e, n) => [c.clientWidth / 2 + (e - view.east) * view.scale, c.clientHeight / 2 - (n - view.north) * view.scale];
  const alerted = new Set(state.alerts.map((a) => a.track));
  for (const z of state.zones) {
    g.beginPath();
    z.polygon.forEach(([lat, lon], i) => { const p = xy(...metres(lat, lon)); i ? g.lineTo(...p) : g.moveTo(...p); });
    g.closePath(); g.strokeStyle = g.fillStyle = colour("bad"); g.globalAlpha = 0.12; g.fill(); g.globalAlpha = 1; g.lineWidth = 1.2; g.stroke();
  }
  const important = (t) => (alerted.has(t.id) ? -1 : STATUS[t.status] ?? 4);
  for (const t of [...state.tracks].sort((a, b) => important(a) - important(b))) track(g, xy, t, alerted.has(t.id));
  for (const z of state.zones) { // above its northernmost corner: inside are the vessels
    const p = z.polygon.map((q) => xy(...metres(...q))).reduce((a, b) => (b[1] < a[1] ? b : a));
    g.fillStyle = colour("zone"); label(g, z.name, p[0] + 4, p[1] - 5, 12);
  }
  rings(g, xy, c);
  const own = xy(0, 0); g.fillStyle = colour("text"); g.beginPath(); g.arc(own[0], own[1], 4, 0, 7); g.fill();
}

function label(g, text, x, y, size) { // where it covers no other; those that matter most are drawn first
  g.font = `${size}px system-ui, "DejaVu Sans", sans-serif`;
  const w = g.measureText(text).width;
  const free = (top) => labels.every((l) => x + w < l[0] || l[0] + l[2] < x || top + size < l[1] || l[1] + l[3] < top);
  for (const down of [0, size + 3, -size - 3]) if (free(y + down - size)) {
    labels.push([x, y + down - size, w, size]); g.fillText(text, x, y + down); return;
  }
}

function rings(g, xy, c) {
  const half = Math.min(c.clientWidth, c.clientHeight) / 2 / view.scale;
  const step = [100, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000].find((s) => half / s <= 5) || 100000;
  g.strokeStyle = colour("ring"); g.fillStyle = colour("dim"); g.lineWidth = 1;
  const [x, y] = xy(0, 0);
  for (let r = step; r < half * 4; r += step) {
    g.beginPath(); g.arc(x, y, r * view.scale, 0, 2 * Math.PI); g.stroke();
    label(g, r >= 1000 ? r / 1000 + " km" : r + " m", x + 4, y - r * view.scale - 3, 11);
  }
}

function track(g, xy, t, alerted) {
  const [x, y] = xy(t.east_m, t.north_m);
  g.strokeStyle = g.fillStyle = colour(alerted ? "bad" : t.status in STATUS ? t.status : "dim"); g.lineWidth = alerted ? 2 : 1.3;
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
  label(g, title(t), x + 8, y + (Math.cos(b) > 0 && d > 9 ? 15 : -6), 11); // beside the line ahead
}

function ellipse(g, x, y, cov) { // two sigma
  const [a, b, d] = [cov[0][0], cov[0][1], cov[1][1]], m = (a + d) / 2, s = Math.sqrt(((a - d) / 2) ** 2 + b * b);
  g.save(); g.translate(x, y); g.rotate(-0.5 * Math.atan2(2 * b, a - d)); g.globalAlpha = 0.35; g.beginPath();
  g.ellipse(0, 0, Math.min(2 * Math.sqrt(m + s) * view.scale, 4000), Math.min(2 * Math.sqrt(Math.max(m - s, 0)) * view.scale, 4000), 0, 0, 7); g.stroke(); g.restore();
}

const title = (t) => t.name || (t.mmsi ? String(t.mmsi) : "T" + t.id);
const utc = (s) => new Date(s * 1000).toISOString().slice(11, 19);
const motion = (x) => { // who hardly moves has no course
  const knots = x.sog_mps / KNOT;
  return knots.toFixed(1) + " kn" + (knots < 0.5 ? "" : ` ${String(Math.round(x.cog_deg) % 360).padStart(3, "0")}°`);
};
const place = (lat, lon) => `${Math.abs(lat).toFixed(4)} ${lat < 0 ? "S" : "N"} ${Math.abs(lon).toFixed(4)} ${lon < 0 ? "W" : "E"}`;
const el = (tag, text, cls) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };
const row = (table, cells) => { const r = table.insertRow(); for (const c of cells) { const d = r.insertCell(); c instanceof Node ? d.append(c) : d.append(String(c)); } };
const level = (s) => ({ ok: "ok", starting: "warn", degraded: "warn" }[s] || "bad");

function card(list) { // the open alerts of one situation
  const a = list[0], t = state.tracks.find((x) => x.id === a.track), now = t || a; // where it is now, or was
  const c = el("div", undefined, "card " + a.severity), ul = el("ul");
  c.append(el("b", list.map((x) => x.rule_name).join(" + ") + ": " + (t ? title(t) : "T" + a.track)));
  c.append(el("span", `${a.severity}, ${a.likelihood}; since ${utc(Math.min(...list.map((x) => x.wall_s)))} UTC; ${place(now.lat, now.lon)}, ${motion(now)}`, "dim"));
  for (const x of list) for (const r of x.reasons) ul.append(el("li", r));
  c.append(ul);
  return c;
}

function panels() {
  $("site").textContent = `${state.site.name}  ${place(state.site.lat, state.site.lon)}`;
  $("exercise").hidden = !state.site.exercise;
  $("clock").textContent = new Date(state.at * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  const p = state.status.publish || {};
  $("link").textContent = (p.connected ? "link up" : "NO LINK TO THE PICTURE") + (p.queued ? `, ${p.queued} messages wait` : "");
  $("link").className = p.connected ? "dim" : "bad";
  const cards = new Map();
  for (const a of [...state.alerts].sort((x, y) => SEVERITY[x.severity] - SEVERITY[y.severity] || y.wall_s - x.wall_s)) (cards.get(a.situation) || cards.set(a.situation, []).get(a.situation)).push(a);
  $("alerts").replaceChildren(...[...cards.values()].map(card));
  if (!state.alerts.length) $("alerts").append(el("span", "none open", "ok"));
  const sensors = $("sensors"), health = Object.entries(state.status.sensors || {}); sensors.replaceChildren();
  for (const [name, r] of Object.entries(state.status.rules || {})) if (r.suspended) row(sensors, ["rule " + name, el("span", "suspended", "bad"), r.evidence]);
  for (const wanted of ["bad", "warn", "ok"]) for (const [name, s] of health) if (level(s.state) === wanted) row(sensors, [name, el("span", s.state, wanted), s.evidence]);
  const tracks = $("tracks"); tracks.replaceChildren();
  for (const t of state.tracks.slice(0, 60)) row(tracks, [title(t), t.status, t.bearing_deg === undefined ? motion(t) : `bearing ${t.bearing_deg.toFixed(0)}°`, t.sources.join(" ")]);
  $("more").textContent = state.tracks.length > 60 ? `and ${state.tracks.length - 60} more` : state.tracks.length ? "" : "none";
}

function cameras() {
  const box = $("cameras");
  for (const name of state.cameras) if (!document.getElementById("cam-" + name)) {
    const fig = el("div", undefined, "camera"), img = el("img"), said = el("p", name + ": no picture yet", "dim"); img.id = "cam-" + name; img.alt = "Camera " + name; img.hidden = true; fig.append(img, said); box.append(fig);
    const next = () => { img.src = `camera/${name}.jpg?${Date.now()}`; };
    img.onload = () => { img.hidden = false; said.textContent = name; setTimeout(next, 400); }; img.onerror = () => { img.hidden = true; said.textContent = name + ": no picture"; setTimeout(next, 1500); }; next();
  }
  for (const name of state.cameras) { // a picture that stands still is old: say so at it
    const s = (state.status.sensors || {})[name], img = $("cam-" + name);
    img.style.opacity = s && level(s.state) === "bad" ? 0.35 : 1;
    if (!img.hidden) img.nextSibling.textContent = s && s.state !== "ok" ? `${name} is ${s.state}: the last picture` : name;
  }
  if (!state.cameras.length) box.replaceChildren(el("span", "none configured", "dim"));
}

async function poll() {
  try {
    const answer = await fetch("state.json", { cache: "no-store", signal: AbortSignal.timeout(4000) }); // a tunnel may hang
    refused = answer.status === 401;
    const s = await answer.json();
    if (s.site && s.at !== (state || {}).at) { // a daemon that hangs leaves its last snapshot with the page's process
      state = s; seen = Date.now();
      const live = new Set();
      for (const t of s.tracks) { live.add(t.id); const l = trails.get(t.id) || []; l.push([t.east_m, t.north_m]); if (l.length > 120) l.shift(); trails.set(t.id, l); }
      for (const id of trails.keys()) if (!live.has(id)) trails.delete(id);
      panels(); cameras();
    }
  } catch { /* said below: the page shows that it has no data */ }
  const stale = Date.now() - seen >= 5000;
  $("stale").hidden = !stale;
  $("stale").textContent = refused ? "THE BOX WANTS A NEW LINK: vigia status --page" : "NO DATA FROM THE BOX" + (state ? " SINCE " + utc(state.at) + " UTC" : "");
  document.title = stale ? "NO DATA - Vigía" : state && state.alerts.length ? `(${state.alerts.length}) Vigía` : "Vigía";
  document.body.classList.toggle("stale", stale);
  draw();
  setTimeout(poll, 1000);
}

const map = $("map"), fingers = new Map();
const zoom = (by) => { if (view.scale) { view.scale *= by; draw(); } };
const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
map.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 400)); }, { passive: false });
map.addEventListener("pointerdown", (e) => { map.setPointerCapture(e.pointerId); fingers.set(e.pointerId, [e.clientX, e.clientY]); });
for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, (e) => fingers.delete(e.pointerId));
map.addEventListener("pointermove", (e) => {
  const before = fingers.get(e.pointerId);
  if (!before || !view.scale) return;
  const apart = fingers.size === 2 ? spread() : 0;
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
  if (apart) zoom(spread() / apart); else { view.east -= (e.clientX - before[0]) / view.scale; view.north += (e.clientY - before[1]) / view.scale; draw(); }
});
$("in").onclick = () => zoom(1.5); $("out").onclick = () => zoom(1 / 1.5); $("fit").onclick = () => { if (state) { fit(); draw(); } };
window.addEventListener("resize", draw);
poll();
