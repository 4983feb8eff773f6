"use strict";
// The page holds large texts compressed, in base64.
async function unpacked(element) {
  const letters = atob(element.textContent);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

(async () => {
  const status = document.getElementById("status");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const on = (selector, act) => all(selector).forEach((b) => b.addEventListener("click", () => act(b)));

  on("[data-download]", async (button) => {
    const raw = all(".raw")[button.dataset.download];
    status.textContent = "unpacking";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await unpacked(raw)).blob());
    link.download = raw.dataset.name;
    link.click();
    status.textContent = `${raw.dataset.name} is in your downloads`;
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });

  const library = document.createElement("script");
  library.textContent = await (await unpacked(document.getElementById("plotly"))).text();
  document.head.append(library);

  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = all(".plot");
  const most = figures.most_single;
  // The state of the switches; the meta of each trace says what it shows.
  const shown = { time: "latency", sides: [true, true] };

  function colours() {
    const resolved = (name) => {
      const probe = document.createElement("i");
      probe.style.color = `var(${name})`;
      document.body.append(probe);
      const colour = getComputedStyle(probe).color;
      probe.remove();
      return colour;
    };
    return { ink: resolved("--ink"), quiet: resolved("--quiet"), line: resolved("--line"), card: resolved("--card") };
  }

  function axes(layout, settings) {
    const names = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
    return Object.fromEntries(names.flatMap((name) => Object.entries(settings).map(([key, v]) => [`${name}.${key}`, v])));
  }

  function painted(layout) {
    const { ink, quiet, line, card } = colours();
    return {
      "font.color": ink,
      ...axes(layout, { gridcolor: line, linecolor: quiet, zerolinecolor: line, tickcolor: quiet }),
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": quiet, "hoverlabel.font.color": ink,
    };
  }
  const paint = () => Promise.all(plots.map((div) => Plotly.relayout(div, painted(div.layout))));

  // A finger on a plot scrolls the page; on a touch screen the buttons zoom.
  const finger = matchMedia("(pointer: coarse)").matches;
  for (const div of plots) {
    const { data, layout } = figures[div.dataset.figure];
    if (finger) layout.dragmode = false;
    for (const [path, value] of Object.entries(painted(layout))) {
      const keys = path.split(".");
      const last = keys.pop();
      keys.reduce((object, key) => (object[key] ??= {}), layout)[last] = value;
    }
    await Plotly.newPlot(div, data, layout, { displayModeBar: false, responsive: true });
  }

  // --- which traces are visible

  // The sides whose every request the timeline shows, because it is zoomed in far enough.
  const singly = [];
  function isShown(meta) {
    if (!meta) return true;
    if (meta.part === "columns" && singly[meta.side]) return false;
    return (meta.time === undefined || meta.time === shown.time) && shown.sides[meta.side] !== false;
  }
  const choose = () => Promise.all(plots.map((div) =>
    div.data.length ? Plotly.restyle(div, { visible: div.data.map((trace) => isShown(trace.meta)) }) : null));
  function press(selector, button) {
    all(selector).forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  }
  on("[data-time]", (button) => { press("[data-time]", button); shown.time = button.dataset.time; choose(); });
  on("[data-side]", (button) => {
    const side = Number(button.dataset.side);
    shown.sides[side] = !shown.sides[side];
    button.setAttribute("aria-pressed", String(shown.sides[side]));
    choose();
  });
  const logarithmic = { distribution: "xaxis", percentiles: "yaxis", timeline: "yaxis" };
  function setAxis(button) {
    press("[data-axis]", button);
    for (const div of plots) {
      const axis = logarithmic[div.dataset.figure];
      const ticks = button.dataset.axis === "log" ? "D2" : null;
      const change = { type: button.dataset.axis, dtick: ticks, tick0: null, autorange: true };
      if (axis) Plotly.relayout(div, axes({ [axis]: 0 }, change));
    }
  }
  on("[data-axis]", setAxis);

  // --- colours

  on("[data-theme-choice]", (button) => {
    press("[data-theme-choice]", button);
    const choice = button.dataset.themeChoice;
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    paint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  // --- zooming in on the timeline

  const raw = [];
  async function samplesOf(side) {
    raw[side] ??= (await (await unpacked(all(".raw")[side])).json()).samples;
    return raw[side];
  }

  // A window with few enough requests shows each of them, from the raw data.
  async function closer(div) {
    const columned = [...new Set(div.data.filter((t) => t.meta?.part === "columns").map((t) => t.meta.side))];
    if (!columned.length) return;
    const [from, to] = div._fullLayout.xaxis.range;
    for (const side of columned) {
      const samples = await samplesOf(side);
      const inside = samples.filter((s) => s.outcome === "ok" && s.scheduled_ns >= from * 1e9 && s.scheduled_ns <= to * 1e9);
      singly[side] = inside.length <= most;
      const drawn = singly[side] ? inside : [];
      for (const [index, trace] of div.data.entries()) {
        if (trace.meta?.side !== side || trace.meta.part !== "single") continue;
        const start = trace.meta.time === "latency" ? "scheduled_ns" : "sent_ns";
        await Plotly.restyle(div, {
          x: [drawn.map((s) => s.scheduled_ns / 1e9)],
          y: [drawn.map((s) => (s.done_ns - s[start]) / 1e6)],
          showlegend: singly[side],
        }, [index]);
      }
    }
    await choose();
    div.dataset.drawn = singly.some(Boolean) ? "singly" : "columns";
  }
  for (const div of plots.filter((div) => div.dataset.figure === "timeline")) {
    let waiting;
    div.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
      clearTimeout(waiting);
      waiting = setTimeout(() => closer(div), 150);
    });
  }
  on("[data-zoom]", (button) => {
    const div = button.closest("figure").querySelector(".plot");
    if (button.dataset.zoom === "all") return Plotly.relayout(div, axes(div.layout, { autorange: true }));
    const [from, to] = div._fullLayout.xaxis.range;
    const width = to - from;
    const [a, b] = { in: [0.25, -0.25], out: [-0.5, 0.5], left: [-0.25, -0.25], right: [0.25, 0.25] }[button.dataset.zoom];
    return Plotly.relayout(div, { "xaxis.range": [from + a * width, to + b * width] });
  });

  // --- printing

  // Paper is light. The event comes before the media query changes, so the theme is set by hand.
  let chosen;
  const sized = () => plots.forEach((div) => Plotly.Plots.resize(div));
  addEventListener("beforeprint", () => {
    chosen = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    paint();
    sized();
  });
  addEventListener("afterprint", () => {
    if (chosen === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    paint();
    sized();
  });
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
})();
