"use strict";
// The live page: a sketch goes out when it changed, frames come in, and the newest one is shown.
// A model that streams takes words alone; then there is no sketch.

const at = (id) => document.getElementById(id);
const sketch = at("sketch"), pen = sketch.getContext("2d", { willReadFrequently: true });
const shown = at("shown"), screen_ = shown.getContext("2d");
const INKS = ["#c81e2c", "#f2b705", "#2e9e4f", "#2367c9", "#6b3fa0", "#1f1d1a", "#ffffff"];
const HEADER = 32, MAGIC = 0x52534c46; // "RSLF"
const COME_BACK = [300, 1000, 3000]; // milliseconds until a lost socket is tried again

let socket = null, session = null, tries = 0;
let ink = INKS[0], last = null, isDirty = false, isSending = false;
let sent = 0; // changes that were sent, counted as the server counts them
const sentAt = new Map(); // change -> when
const touched = new Set(); // of steps and strength: what was never touched is left to the method
const times = []; // of the last frames, for the rate
let newest = -1, skipped = 0, latencies = [];

function say(words, isBad = false) {
  at("told").textContent = words;
  at("told").className = isBad ? "bad" : "";
}

function paper() {
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, sketch.width, sketch.height);
}

function place(event) {
  const box = sketch.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * sketch.width, ((event.clientY - box.top) / box.height) * sketch.height];
}

function stroke(event) {
  const [x, y] = place(event);
  pen.strokeStyle = ink;
  pen.lineWidth = Number(at("brush").value);
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...(last || [x, y]));
  pen.lineTo(x, y);
  pen.stroke();
  last = [x, y];
  sketched();
}

// One picture of the sketch is under way at a time; what is drawn meanwhile goes with the next.
function sketched() {
  isDirty = true;
  if (isSending || !isOpen() || session.streams) return;
  isSending = true;
  isDirty = false;
  const small = document.createElement("canvas");
  [small.width, small.height] = [session.width, session.height];
  const hand = small.getContext("2d");
  hand.imageSmoothingQuality = "high";
  hand.drawImage(sketch, 0, 0, small.width, small.height);
  small.toBlob(async (blob) => {
    const body = await blob.arrayBuffer();
    if (isOpen()) send(body);
    isSending = false;
    if (isDirty) sketched();
  }, "image/png");
}

const isOpen = () => socket !== null && session !== null && socket.readyState === WebSocket.OPEN;

function send(body) {
  sent += 1;
  sentAt.set(sent, performance.now());
  socket.send(body);
}

function change(fields) {
  if (isOpen()) send(JSON.stringify({ type: "change", ...fields }));
}

async function ticket() {
  const key = at("key").value.trim();
  const answer = await fetch("/v1/live/tickets", { method: "POST", headers: key ? { authorization: `Bearer ${key}` } : {} });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${told.detail} ${told.next_step}`);
  return told.ticket;
}

async function open(first) {
  const where = location.origin.replace(/^http/, "ws");
  let mine;
  try {
    mine = new WebSocket(`${where}/v1/live?ticket=${encodeURIComponent(await ticket())}`);
  } catch (error) {
    say(error.message, true);
    return;
  }
  socket = mine;
  mine.binaryType = "arraybuffer";
  mine.onopen = () => mine.send(JSON.stringify(first));
  mine.onmessage = (event) => (typeof event.data === "string" ? hear(JSON.parse(event.data)) : see(event.data));
  mine.onclose = (event) => closed(mine, event);
}

function begin() {
  session = null;
  tries = 0;
  say("A renderer is made ready...");
  at("begin").textContent = "End";
  const first = {
    type: "begin",
    model: at("model").value.trim(),
    prompt: at("prompt").value,
    seed: Number(at("seed").value),
    only_changes: true, // of a canvas; a stream goes on by itself
  };
  for (const name of touched) first[name] = Number(at(name).value);
  open(first);
}

function hear(told) {
  if (told.type === "begun") {
    const isNew = session === null;
    session = told;
    [sent, newest] = [told.change, isNew ? -1 : newest];
    sentAt.clear();
    tries = 0;
    [shown.width, shown.height] = [told.width, told.height];
    document.body.classList.toggle("streams", told.streams);
    say(`${told.method}, ${told.width} x ${told.height}, on record as ${told.session}.`);
    sketched();
  } else if (told.type === "applied") {
    for (const [number, when] of sentAt) {
      if (number > told.change) break;
      if (number === told.change) latencies = [...latencies.slice(-9), { frame: told.frame, when }];
      sentAt.delete(number);
    }
  } else if (told.type === "refused") {
    const reasons = (told.problem.reasons || []).map((reason) => reason.detail);
    say([...new Set([told.problem.detail, ...reasons])].join(" ") + ` ${told.problem.next_step}`, true);
  } else if (told.type === "error") {
    say(`${told.detail} ${told.next_step}`, true);
  } else if (told.type === "ended") {
    say(`Ended (${told.because}) after ${told.frames} frames.`);
    session = null;
  }
}

async function see(message) {
  const view = new DataView(message);
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== 1) return;
  const number = Number(view.getBigUint64(8));
  const kind = ["", "image/webp", "image/jpeg", "image/png"][view.getUint8(5)];
  const picture = await createImageBitmap(new Blob([message.slice(view.getUint16(6))], { type: kind }));
  if (number <= newest) return; // decoded after a newer one
  skipped += number - newest - 1;
  newest = number;
  screen_.drawImage(picture, 0, 0, shown.width, shown.height);
  picture.close();
  if (isOpen()) socket.send(JSON.stringify({ type: "shown", frame: number }));
  const now = performance.now();
  times.push(now);
  const waiting = latencies.find((one) => one.frame <= number && !one.seconds);
  if (waiting) {
    waiting.seconds = now - waiting.when;
    at("latency").textContent = `${Math.round(waiting.seconds)} ms`;
  }
  at("frame").textContent = number;
  at("skipped").textContent = skipped;
}

function closed(mine, event) {
  if (mine !== socket) return;
  socket = null;
  if (session !== null && event.code < 4000 && event.code !== 1000 && tries < COME_BACK.length) {
    say("The connection was lost; coming back...", true);
    setTimeout(() => open({ type: "resume", session: session.session, token: session.token }), COME_BACK[tries++]);
    return;
  }
  session = null;
  at("begin").textContent = "Begin";
}

sketch.addEventListener("pointerdown", (event) => {
  sketch.setPointerCapture(event.pointerId);
  last = null;
  stroke(event);
});
sketch.addEventListener("pointermove", (event) => event.buttons && last && stroke(event));
sketch.addEventListener("pointerup", () => (last = null));
at("clear").addEventListener("click", () => (paper(), sketched()));
at("prompt").addEventListener("input", () => change({ prompt: at("prompt").value }));
for (const name of ["strength", "steps"])
  at(name).addEventListener("input", () => {
    touched.add(name);
    change({ [name]: Number(at(name).value) });
  });
at("seed").addEventListener("input", () => at("seed").validity.valid && at("seed").value && change({ seed: Number(at("seed").value) }));
at("words").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isOpen()) socket.send(JSON.stringify({ type: "end" }));
  else if (socket === null) begin();
});
for (const colour of INKS) {
  const button = document.createElement("button");
  button.type = "button";
  button.style.background = colour;
  button.setAttribute("aria-label", colour);
  button.setAttribute("aria-pressed", String(colour === ink));
  button.addEventListener("click", () => {
    ink = colour;
    for (const one of document.querySelectorAll(".inks button")) one.setAttribute("aria-pressed", String(one === button));
  });
  document.querySelector(".inks").append(button);
}
setInterval(() => {
  const now = performance.now();
  while (times.length && now - times[0] > 2000) times.shift();
  at("fps").textContent = (times.length / 2).toFixed(1);
}, 250);
paper();
