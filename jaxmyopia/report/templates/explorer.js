// SPDX-License-Identifier: Apache-2.0
// The seed explorer: draws the kept curves of one seed from what the page holds; see explorer.py.
"use strict";

(() => {
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", LEVELS = 2 ** 18 - 2;
  const VALUE = Object.fromEntries([...DIGITS].map((digit, place) => [digit, place]));
  const WIDE = 460, HIGH = 250, ROOM = { left: 50, right: 8, top: 10, bottom: 34 };
  const DASHES = ["", "5 3", "1 3", "8 3 2 3"];
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const find = (name) => document.querySelector(`#seeds .${name}`);
  const state = { at: data.trials[0].at.slice(), seed: data.trials[0].seed, record: 1, logSteps: true };
  let trial = data.trials[0];

  const unpack = ([low, high, text, log]) => {
    const values = [];
    for (let i = 0; i < text.length; i += 3) {
      const level = (VALUE[text[i]] << 12) | (VALUE[text[i + 1]] << 6) | VALUE[text[i + 2]];
      const value = low + ((high - low) * level) / LEVELS;
      values.push(level > LEVELS ? NaN : log ? 10 ** value : value);
    }
    return values;
  };
  const short = (value) => {
    if (!Number.isFinite(value)) return "not finite";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  };
  const colour = (number) => `var(--c${number % 8})`;
  function draw(parent, name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  // Axes. A scale takes a value to its place, and has ticks, each a value and its words.
  function linear(low, high, from, to) {
    const spread = high - low || Math.abs(high) || 1, [first, last] = high > low ? [low, high] : [low - spread / 2, low + spread / 2];
    const rough = (last - first) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= 0.75 * rough);
    const ticks = [];
    for (let k = Math.ceil(first / step - 1e-9); k * step <= last + 1e-9 * step; k += 1) ticks.push([k * step, short(k * step)]);
    return { place: (value) => from + ((value - first) / (last - first)) * (to - from), ticks };
  }
  function logarithmic(low, high, from, to) {
    const [first, last] = [Math.log10(low), Math.log10(high)];
    const every = Math.max(1, Math.ceil((last - first) / 6)), ticks = [];
    for (let k = Math.ceil(first); k <= last; k += every) ticks.push([10 ** k, `1e${k}`]);
    return { place: (value) => from + ((Math.log10(Math.max(value, low)) - first) / (last - first || 1)) * (to - from), ticks };
  }
  function ofSteps(steps, from, to) {
    const last = steps[steps.length - 1];
    if (!state.logSteps) return linear(0, last, from, to);
    const top = Math.log10(last + 1), ticks = [[0, "0"]]; // log(1 + step): it holds step 0 too
    for (let k = 0; 10 ** k <= last; k += 1) if (k % Math.ceil(top / 6) === 0) ticks.push([10 ** k, k < 4 ? String(10 ** k) : `1e${k}`]);
    return { place: (step) => from + (Math.log10(step + 1) / (top || 1)) * (to - from), ticks };
  }
  function frame(svg, x, y, across, up) {
    for (const [value, words] of y.ticks) {
      draw(svg, "line", { x1: ROOM.left, x2: WIDE - ROOM.right, y1: y.place(value), y2: y.place(value), stroke: "var(--grid)" });
      draw(svg, "text", { x: ROOM.left - 5, y: y.place(value) + 4, "text-anchor": "end" }, words);
    }
    for (const [value, words] of x.ticks) {
      draw(svg, "line", { y1: ROOM.top, y2: HIGH - ROOM.bottom, x1: x.place(value), x2: x.place(value), stroke: "var(--grid)" });
      draw(svg, "text", { x: x.place(value), y: HIGH - ROOM.bottom + 14, "text-anchor": "middle" }, words);
    }
    draw(svg, "text", { x: (WIDE + ROOM.left) / 2, y: HIGH - 4, "text-anchor": "middle" }, across);
    if (up) draw(svg, "text", { x: 2, y: 9 }, up);
  }
  const path = (xs, ys, x, y) => {
    let pen = "M";
    return xs.map((each, k) => {
      if (!Number.isFinite(ys[k])) { pen = "M"; return ""; }
      const word = `${pen}${x.place(each).toFixed(1)} ${y.place(ys[k]).toFixed(1)}`;
      pen = "L";
      return word;
    }).join("");
  };
  const extent = (lines) => {
    const held = lines.flat().filter(Number.isFinite);
    return held.length ? [Math.min(...held), Math.max(...held)] : [0, 1];
  };
  const canvas = (label) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of [["viewBox", `0 0 ${WIDE} ${HIGH}`], ["role", "img"], ["aria-label", label]]) svg.setAttribute(name, value);
    return svg;
  };
  function crosshair(svg, xs, x, words) {
    const line = draw(svg, "line", { y1: ROOM.top, y2: HIGH - ROOM.bottom, stroke: "var(--faint)", visibility: "hidden" });
    pointed(svg, (event) => {
      const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * WIDE;
      let nearest = 0;
      for (let k = 1; k < xs.length; k += 1) if (Math.abs(x.place(xs[k]) - at) < Math.abs(x.place(xs[nearest]) - at)) nearest = k;
      for (const name of ["x1", "x2"]) line.setAttribute(name, x.place(xs[nearest]));
      line.setAttribute("visibility", "visible");
      tell(event, words(nearest));
    }, () => line.setAttribute("visibility", "hidden"));
  }
  const named = (panel, [style, number], alone) => (alone ? panel.curves[style] : `${panel.curves[style]} ${number}`);

  const KINDS = {
    lines(svg, panel, drawn, steps, others) {
      const lines = drawn.lines.map(unpack), log = extent(lines)[0] > 0 && drawn.lines.some((line) => line[3]);
      const faint = lines.length === 1 ? others.map((other) => unpack(other.lines[0]).map((value) => (log && value <= 0 ? NaN : value))) : [];
      const [low, high] = extent([...lines, ...faint]);
      const x = ofSteps(steps, ROOM.left, WIDE - ROOM.right);
      const y = (log ? logarithmic : linear)(low, high, HIGH - ROOM.bottom, ROOM.top + 4);
      frame(svg, x, y, `step${state.logSteps ? ", log(1 + step)" : ""}`, log ? "log axis" : "");
      for (const [first, last] of drawn.spans ?? []) {
        draw(svg, "rect", { class: "plateau", x: x.place(first), width: Math.max(x.place(last) - x.place(first), 1), y: ROOM.top, height: HIGH - ROOM.bottom - ROOM.top, fill: "var(--plateau)" });
      }
      const alone = lines.length === panel.curves.length;
      for (const line of faint) {
        draw(svg, "path", { d: path(steps, line, x, y), fill: "none", stroke: "var(--faint)", "stroke-width": 0.6, opacity: 0.5 });
      }
      lines.forEach((line, k) => {
        const [style, number] = drawn.styles[k], ink = colour(alone ? style : number);
        draw(svg, "path", { class: "line", d: path(steps, line, x, y), fill: "none", stroke: ink, "stroke-width": 1.5, "stroke-dasharray": DASHES[style % 4] });
        for (const [step, value] of drawn.marks?.[k] ?? []) {
          const [a, b] = [x.place(step), y.place(value)];
          draw(svg, "path", { class: "mark", d: `M${a - 4} ${b - 8}L${a + 4} ${b - 8}L${a} ${b}z`, fill: lines.length > 1 ? ink : "var(--ink)", stroke: "var(--ink)", "stroke-width": 0.6 });
        }
      });
      crosshair(svg, steps, x, (k) => [`step ${steps[k]}`, ...lines.slice(0, 12).map((line, i) => `${named(panel, drawn.styles[i], alone)}: ${short(line[k])}`), ...(lines.length > 12 ? [`and ${lines.length - 12} more`] : [])].join("\n"));
      return alone && lines.length === 1 ? "" : "lines";
    },
    profile(svg, panel, drawn, steps, others, record) {
      const count = drawn.shape[0], all = drawn.lines.map(unpack), now = all.map((line) => line.slice(record * count, (record + 1) * count));
      const [low, high] = extent([...all, [0]]), places = [...Array(count).keys()];
      const x = linear(0, Math.max(count - 1, 1), ROOM.left + 6, WIDE - ROOM.right - 6), y = linear(low, high, HIGH - ROOM.bottom, ROOM.top + 4);
      x.ticks = x.ticks.filter(([value]) => Number.isInteger(value));
      frame(svg, x, y, `${panel.across || "place"}, at step ${steps[record]}`, "");
      now.forEach((line, k) => {
        draw(svg, "path", { class: "line", d: path(places, line, x, y), fill: "none", stroke: colour(k), "stroke-width": 1.5, "stroke-dasharray": DASHES[k % 4] });
        for (const place of places) if (Number.isFinite(line[place])) draw(svg, "circle", { cx: x.place(place), cy: y.place(line[place]), r: 2.5, fill: colour(k) });
      });
      crosshair(svg, places, x, (k) => [`${panel.across || "place"} ${k}`, ...now.map((line, i) => `${panel.curves[i]}: ${short(line[k])}`)].join("\n"));
      return now.length > 1 ? "curves" : "";
    },
    vectors(svg, panel, drawn, steps, others, record) {
      const count = drawn.shape[1], all = unpack(drawn.lines[0]), now = all.slice(record * 2 * count, (record + 1) * 2 * count);
      const reach = 1.1 * Math.max(1, ...all.filter(Number.isFinite).map(Math.abs)), middle = HIGH / 2 - 8, size = middle - 6;
      const x = (value) => WIDE / 2 + (value / reach) * size, y = (value) => middle - (value / reach) * size;
      for (const radius of [0.5, 1]) draw(svg, "circle", { cx: WIDE / 2, cy: middle, r: (radius / reach) * size, fill: "none", stroke: "var(--grid)" });
      for (let k = 0; k < count; k += 1) {
        const [a, b] = [now[k], now[count + k]];
        if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
        draw(svg, "line", { class: "line", x1: x(0), y1: y(0), x2: x(a), y2: y(b), stroke: colour(k), "stroke-width": 1.6 });
        const end = draw(svg, "circle", { cx: x(a), cy: y(b), r: 4, fill: colour(k) });
        pointed(end, (event) => tell(event, `${panel.across || "place"} ${k}: (${short(a)}, ${short(b)}), length ${short(Math.hypot(a, b))}`));
      }
      draw(svg, "text", { x: WIDE / 2, y: HIGH - 4, "text-anchor": "middle" }, `at step ${steps[record]}; circles: lengths 1/2 and 1`);
      return "";
    },
    strip(svg, panel, drawn, steps, others, record) {
      const count = drawn.shape[0], [codes, numbers] = drawn.lines.map((line) => unpack(line).slice(record * count, (record + 1) * count));
      svg.setAttribute("viewBox", `0 0 ${WIDE} 62`);
      const size = (WIDE - 10) / count;
      codes.forEach((code, k) => {
        if (!(code >= -0.5)) return;
        const which = Math.round(code), box = draw(svg, "rect", { class: "box", x: 5 + k * size, y: 6, width: size * 0.94, height: 28, fill: colour(which), stroke: "var(--ink)", "stroke-width": 0.4 });
        pointed(box, (event) => tell(event, `${panel.across || "place"} ${k}: ${panel.names[which] ?? which}, ${short(numbers[k])}`));
        if (size > 15) draw(svg, "text", { x: 5 + k * size + size * 0.47, y: 24, "text-anchor": "middle", style: "fill: var(--paper); font-size: 9px; pointer-events: none" }, short(numbers[k]));
      });
      draw(svg, "text", { x: WIDE / 2, y: 54, "text-anchor": "middle" }, `${panel.across || "place"} 0 to ${count - 1}, at step ${steps[record]}`);
      return "names";
    },
  };

  function key(panel, drawn, which) {
    const words = { lines: () => panel.curves.map((name, k) => [k, name]), curves: () => panel.curves.map((name, k) => [k, name]), names: () => panel.names.map((name, k) => [k, name]) }[which]?.() ?? [];
    const made = document.createElement("p");
    made.className = "key";
    const several = which === "lines" && drawn.lines.length > panel.curves.length;
    words.forEach(([place, name], k) => {
      const mark = document.createElement("b");
      mark.textContent = which === "names" ? "\u25A0 " : ["\u2014", "- -", "\u00B7\u00B7\u00B7", "-\u00B7-"][place % 4] + " ";
      if (!several) mark.style.color = colour(place);
      made.append(mark, `${name}${k < words.length - 1 ? "; " : ""}`);
    });
    if (several) made.append(`; ${drawn.lines.length} lines, one colour an entry`);
    return made;
  }

  function show() {
    const cell = data.cells[trial.cell], others = data.trials.filter((each) => each !== trial && each.at.every((value, k) => value === trial.at[k]));
    const record = Math.round(state.record * (cell.slices.length - 1));
    const made = trial.drawn.map((drawn) => {
      const panel = data.panels[drawn.panel], box = document.createElement("div"), title = document.createElement("h4"), note = document.createElement("p");
      const steps = panel.kind === "lines" ? cell.lines : cell.slices, svg = canvas(`${panel.title} of seed ${trial.seed}`);
      const same = others.map((each) => each.drawn.find((one) => one.panel === drawn.panel)).filter(Boolean);
      box.className = "panel";
      title.textContent = panel.title;
      note.className = "faint";
      note.textContent = panel.note;
      const which = KINDS[panel.kind](svg, panel, drawn, steps, same, record);
      box.append(title, svg, key(panel, drawn, which), note);
      return box;
    });
    find("panels").replaceChildren(...made);
    find("numbers").textContent = [`${cell.name}, seed ${trial.seed}`, ...trial.numbers.map(([name, value]) => `${name} = ${value}`)].join(" \u00B7 ");
    find("slider").hidden = !trial.drawn.some((drawn) => data.panels[drawn.panel].kind !== "lines");
    selects.forEach((select, k) => {
      const values = new Set(data.trials.filter((each) => agree(each, k)).map((each) => each.at[k]));
      const words = data.settings[k][1];
      select.replaceChildren(...[...values].sort((a, b) => a - b).map((value) => new Option(words[value], value)));
      select.value = String(trial.at[k]);
      select.parentElement.hidden = values.size < 2;
    });
    const seeds = data.trials.filter((each) => each.at.every((value, k) => value === trial.at[k])).map((each) => each.seed);
    seedSelect.replaceChildren(...seeds.map((seed) => new Option(`seed ${seed}`, seed)));
    seedSelect.value = String(trial.seed);
  }
  // What was chosen, under the settings before it, and otherwise as near as there is to what was shown.
  const agree = (each, before) => each.at.slice(0, before).every((value, k) => value === trial.at[k]);
  function pick(changed) {
    const far = (each) => each.at.reduce((sum, value, k) => sum + (value === state.at[k] ? 0 : k <= changed ? 1000 : 1), each.seed === state.seed ? 0 : 0.5);
    trial = data.trials.reduce((best, each) => (far(each) < far(best) ? each : best));
    Object.assign(state, { at: trial.at.slice(), seed: trial.seed });
    history.replaceState(null, "", `#seed-${data.trials.indexOf(trial)}`); // so that it can be linked to
    show();
  }
  function linked() {
    const asked = data.trials[Number(/^#seed-(\d+)$/.exec(location.hash)?.[1] ?? NaN)];
    if (!asked) return;
    trial = asked;
    Object.assign(state, { at: trial.at.slice(), seed: trial.seed });
    show();
    document.getElementById("seeds").scrollIntoView();
  }
  function labelled(words, control) {
    const label = document.createElement("label");
    label.append(words, control);
    find("choices").append(label);
    return control;
  }
  const selects = data.settings.map(([name], k) => {
    const select = labelled(name, document.createElement("select"));
    select.addEventListener("change", () => { state.at[k] = Number(select.value); pick(k); });
    return select;
  });
  const seedSelect = labelled("", document.createElement("select"));
  seedSelect.className = "seed";
  seedSelect.setAttribute("aria-label", "seed");
  seedSelect.addEventListener("change", () => { state.seed = Number(seedSelect.value); pick(-1); });
  find("slider input").addEventListener("input", (event) => { state.record = Number(event.target.value); show(); });
  find("steps").addEventListener("change", (event) => { state.logSteps = event.target.checked; show(); });
  show();
  linked();
  addEventListener("hashchange", linked);
})();
