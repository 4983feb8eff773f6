// The page of a sweep: filters, the map of boards and models, the front, and the reports of cells.
(async () => {
  const TIME = "device_time_ms.p50";
  const byId = (id) => document.getElementById(id);
  const document_ = await (await unpacked(document.querySelector(".raw"))).json();
  const cells = document_.cells;
  const higher = new Set(document_.higher_is_better);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") made.addEventListener("click", value);
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  // --- figures; one that is a host's is named with the host, so that two hosts are two metrics

  const metrics = [...new Set(cells.flatMap((cell) => Object.keys(cell.figures)))].sort();
  const value = (cell, name) => cell.figures[name]?.[0] ?? null;
  const isHigher = (name) => higher.has(name.split("@")[0]);
  const better = (name, a, b) => (isHigher(name) ? a > b : a < b);
  function words(name, number) {
    if (number === null || number === undefined) return "-";
    const stem = name.split("@")[0];
    if (stem.endsWith("_bytes")) {
      const power = Math.min(Math.floor(Math.log2(Math.max(number, 1)) / 10), 4);
      return `${(number / 1024 ** power).toFixed(power ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
    }
    if (stem === "accuracy") return `${(100 * number).toFixed(2)} %`;
    return number >= 1000 ? Math.round(number).toLocaleString("en") : String(Number(number.toPrecision(3)));
  }

  // --- filters: a choice for each fact in which cells differ

  const facts = ["job", "profile", "model", "precision", "target", ...document_.settings, "result"];
  const fact = (cell, name) => String(cell[name] ?? cell.settings[name] ?? "-");
  const chosen = {};
  function choice(label, options, selected, act) {
    const select = element("select", {}, ...options.map(([key, text]) => {
      const option = element("option", { value: key }, text);
      option.selected = key === selected;
      return option;
    }));
    select.addEventListener("change", () => act(select.value));
    select.name = label;
    byId("filters").append(element("label", {}, element("span", {}, label), select));
  }
  let shownMetric = metrics.includes(TIME) ? TIME : metrics[0];
  const against = metrics.filter((name) => name !== TIME && !name.startsWith("device_time_ms.") && !name.startsWith("targets."));
  const usual = ["accuracy", "memory_peak_bytes", "energy_j", "artifact_bytes"];
  let otherMetric = [...usual, ...against].find((name) => cells.some((cell) => value(cell, TIME) !== null && value(cell, name) !== null)) ?? TIME;
  choice("map shows", metrics.map((name) => [name, name]), shownMetric, (name) => { shownMetric = name; draw(); });
  choice("front against", against.map((name) => [name, name]), otherMetric, (name) => { otherMetric = name; draw(); });
  for (const name of facts) {
    const values = [...new Set(cells.map((cell) => fact(cell, name)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    // An option that one job alone takes tells no cells apart by being left out.
    if (values.filter((v) => v !== "-").length < 2) continue;
    choice(name, [["", "all"], ...values.map((v) => [`=${v}`, v])], "", (key) => { chosen[name] = key.slice(1); draw(); });
  }
  const shown = () => cells.filter((cell) => facts.every((name) => !chosen[name] || fact(cell, name) === chosen[name]));

  // --- the map

  function map(visible) {
    const boards = [...new Set(visible.map((cell) => cell.profile))];
    const models = [...new Set(visible.map((cell) => cell.model))];
    const groups = new Map();
    for (const cell of visible) {
      const key = JSON.stringify([cell.profile, cell.model]);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(cell);
    }
    const best = new Map();
    for (const [key, group] of groups) {
      const values = group.map((cell) => value(cell, shownMetric)).filter((v) => v !== null);
      best.set(key, values.length ? values.reduce((a, b) => (better(shownMetric, b, a) ? b : a)) : null);
    }
    // The scale is a model's own: what is quick for one is slow for another.
    const ends = new Map(models.map((model) => {
      const own = boards.map((board) => best.get(JSON.stringify([board, model]))).filter((v) => v > 0);
      return [model, own.length ? [Math.log(Math.min(...own)), Math.log(Math.max(...own))] : [0, 0]];
    }));
    const rows = boards.map((board) => element("tr", {}, element("th", { scope: "row" }, board), ...models.map((model) => {
      const key = JSON.stringify([board, model]);
      if (!groups.has(key)) return element("td", {}, "");
      const number = best.get(key);
      const group = groups.get(key);
      const text = number !== null ? words(shownMetric, number) : group.every((cell) => cell.error) ? "failed" : "-";
      const button = element("button", { type: "button", "aria-label": `${board}, ${model}: ${text}`, onclick: () => open(group) }, text);
      if (number > 0) {
        const [low, high] = ends.get(model);
        let share = high > low ? (Math.log(number) - low) / (high - low) : 0;
        if (isHigher(shownMetric)) share = 1 - share;
        button.style.setProperty("--share", `${(100 * share).toFixed(0)}%`);
        button.classList.add("warm");
      }
      return element("td", {}, button);
    })));
    byId("map").replaceChildren(
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, shownMetric), ...models.map((model) => element("th", { scope: "col" }, model)))),
      element("tbody", {}, ...rows));
  }

  // --- the front: cells that no other is better than in one figure and as good in the other

  function frontOf(known) {
    const sorted = [...known].sort((a, b) => value(a, TIME) - value(b, TIME)
      || (isHigher(otherMetric) ? -1 : 1) * (value(a, otherMetric) - value(b, otherMetric)));
    const front = [];
    for (const cell of sorted) {
      if (!front.length || better(otherMetric, value(cell, otherMetric), value(front.at(-1), otherMetric))) front.push(cell);
    }
    return front;
  }
  const COLOURS = ["#1f83c4", "#dd6b10", "#2f9e6b", "#c2318f", "#8a7a12", "#7a5cd6", "#8a919c"];
  const plot = document.querySelector("[data-figure=front]");
  const nameless = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  async function front(visible) {
    const known = visible.filter((cell) => value(cell, TIME) > 0 && value(cell, otherMetric) !== null);
    const best = frontOf(known);
    const models = [...new Set(known.map((cell) => cell.model))];
    const traces = models.slice(0, 6).map((model, i) => [model, COLOURS[i], known.filter((cell) => cell.model === model)]);
    const rest = known.filter((cell) => models.indexOf(cell.model) >= 6);
    if (rest.length) traces.push([`${models.length - 6} other models`, COLOURS[6], rest]);
    const line = best.map((cell) => [value(cell, TIME), value(cell, otherMetric)]);
    const data = [
      { type: "scatter", mode: "lines", name: "front", x: line.map((p) => p[0]), y: line.map((p) => p[1]),
        line: { shape: "hv", dash: "dot", color: COLOURS[6] }, hoverinfo: "skip" },
      ...traces.map(([name, color, group]) => ({
        type: "scatter", mode: "markers", name: nameless(name),
        marker: { color, size: 8, opacity: 0.75 }, x: group.map((cell) => value(cell, TIME)), y: group.map((cell) => value(cell, otherMetric)),
        text: group.map((cell) => nameless(cell.name)), customdata: group.map((cell) => cells.indexOf(cell)),
        hovertemplate: "%{text}<br>%{x:.3~g} ms, %{y:.4~g}<extra></extra>",
      })),
    ];
    plot.layout.yaxis.title = { text: otherMetric };
    plot.layout.yaxis.type = otherMetric.split("@")[0].match(/bytes$|energy_j|_ms|_s$/) ? "log" : "linear";
    plot.layout.yaxis.autorange = plot.layout.xaxis.autorange = true;
    await Plotly.react(plot, data, plot.layout, { displayModeBar: false, responsive: true });
    byId("front-summary").textContent = known.length
      ? `${best.length} of ${known.length} cells with both figures are on the front of device time against ${otherMetric}.`
      : `No shown cell has a device time and ${otherMetric}.`;
    byId("best").replaceChildren(
      element("thead", {}, element("tr", {}, ...["cell", "device time, ms", otherMetric].map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...best.map((cell) => element("tr", {},
        element("th", { scope: "row" }, element("button", { type: "button", onclick: () => open([cell]) }, cell.name)),
        element("td", {}, words(TIME, value(cell, TIME))), element("td", {}, words(otherMetric, value(cell, otherMetric)))))));
  }

  // --- the reports

  function open(group) {
    byId("chosen").replaceChildren(...group.map((cell, i) => {
      const rows = Object.entries(cell.figures).map(([name, [number, low, high, note]]) => {
        const band = low !== null && high !== null ? ` (${words(name, low)} to ${words(name, high)})` : "";
        return element("div", {}, element("dt", {}, name), element("dd", {}, `${words(name, number)}${band}`, note ? element("span", { class: "note" }, note) : null));
      });
      const opened = element("details", { class: "card" }, element("summary", {}, `${cell.name}: ${cell.result}`));
      if (i === 0) opened.open = true;
      if (cell.error) opened.append(element("p", { class: "bad" }, cell.error));
      if (cell.method) opened.append(element("p", { class: "note" }, cell.method));
      opened.append(...cell.notes.map((note) => element("p", { class: "note" }, note)));
      opened.append(element("dl", { class: "facts" }, ...rows));
      if (cell.report) opened.append(element("pre", { tabindex: "0", role: "region", "aria-label": `Report of ${cell.name}` }, cell.report));
      opened.append(element("p", { class: "note" }, `${cell.file}; ${cell.created}, ${cell.host}`));
      return opened;
    }));
    byId("reports").focus();
    byId("reports").scrollIntoView();
  }

  async function draw() {
    const visible = shown();
    const failed = visible.filter((cell) => cell.error).length;
    byId("count").textContent = `${visible.length} of ${cells.length} cells${failed ? `, ${failed} of them failed` : ""}`;
    map(visible);
    await front(visible);
  }

  const begin = async () => {
    await draw();
    plot.on("plotly_click", (event) => { const i = event.points[0].customdata; if (i !== undefined) open([cells[i]]); });
    performance.mark("drawn");
    document.documentElement.dataset.drawn = "true";
  };
  if (document.documentElement.dataset.ready) await begin();
  else new MutationObserver((_, observer) => {
    if (document.documentElement.dataset.ready) { observer.disconnect(); begin(); }
  }).observe(document.documentElement, { attributes: true });
})();
