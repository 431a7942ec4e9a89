// Charts as SVG. Each mark has a text in `data-tip`, which the page shows as a tooltip.

const AXIS = 22;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

function scale(from, to, low, high) {
  return (value) => low + ((value - from) / (to - from || 1)) * (high - low);
}

function rounded(value) {
  return Math.round(value * 10) / 10;
}

// The ticks of a time axis, at multiples of the step in the time zone of the browser.
function timeTicks(from, to, width) {
  const wanted = (to - from) / 1000 / Math.max(2, Math.floor(width / 90));
  const step = 1000 * (STEPS.find((step) => step >= wanted) ?? 86400 * Math.ceil(wanted / 86400));
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const ticks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) ticks.push(at);
  return { ticks, step };
}

function timeAxis(x, from, to, left, right, height) {
  const { ticks, step } = timeTicks(from, to, right - left);
  return ticks.map((at) => {
    const place = rounded(x(at));
    const anchor = place < left + 24 ? "start" : place > right - 24 ? "end" : "middle";
    return [
      svg("line", { class: "grid", x1: place, x2: place, y1: 0, y2: height - AXIS }),
      svg("text", { x: place, y: height - 6, "text-anchor": anchor }, shortClock(at, step)),
    ];
  });
}

function picture(width, height, label, ...children) {
  return svg("svg", { role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}` }, children);
}

function band({ from, to, level, tip }, x, y, height) {
  const [start, end] = [rounded(x(from)), rounded(x(to))];
  return svg("rect", { class: `mark ${level}`, x: start, y, width: Math.max(2, rounded(end - start)), height, "data-tip": tip });
}

function inside(bands, from, to) {
  const cut = bands.map((one) => ({ ...one, from: Math.max(one.from, from), to: Math.min(one.to, to) }));
  return cut.filter((one) => one.to > one.from);
}

// The width of the labels on the left. It is the same in all charts, so that their time axes are aligned.
function leftOf(width) {
  return width < 560 ? 84 : 112;
}

// Draws one row for each lane. `bands` are periods, and `columns` are numbers of entries.
function laneChart({ from, to, width, label, lanes, rowHeight = 30, hasAxis = true }) {
  const [left, right] = [leftOf(width), width - 8];
  const height = lanes.length * rowHeight + (hasAxis ? AXIS : 0);
  const x = scale(from, to, left, right);
  const rows = lanes.map((lane, index) => {
    const [top, bottom] = [index * rowHeight + 5, (index + 1) * rowHeight - 3];
    const highest = Math.max(1, ...(lane.columns ?? []).map((column) => column.value));
    const y = scale(0, highest, bottom, top);
    return [
      svg("text", { class: "lane", x: 0, y: (top + bottom) / 2 + 4 }, lane.name),
      svg("line", { class: "base", x1: left, x2: right, y1: bottom + 0.5, y2: bottom + 0.5 }),
      inside(lane.bands ?? [], from, to).map((one) => band(one, x, top + 2, bottom - top - 2)),
      (lane.columns ?? []).map((column) => {
        const start = rounded(x(column.from));
        const high = rounded(Math.min(y(column.value), bottom - 3));
        const wide = Math.max(2, rounded(x(column.to) - x(column.from) - 0.5));
        return svg("rect", {
          class: `mark ${column.level}`, x: start, y: high, width: wide, height: rounded(bottom - high), "data-tip": column.tip,
        });
      }),
    ];
  });
  return picture(width, height, label, hasAxis && timeAxis(x, from, to, left, right, height), rows);
}

function decades(low, high) {
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) all.push(10 ** power);
  return all;
}

// Durations over time, on a logarithmic axis: from the median to the longest one of each column.
function durationChart({ from, to, width, label, columns: marks }) {
  const [left, right, height, top] = [leftOf(width), width - 8, 170, 8];
  const bottom = height - AXIS;
  const ticks = decades(Math.max(0.0001, Math.min(0.001, ...marks.map((mark) => mark.median))), Math.max(1, ...marks.map((mark) => mark.longest)));
  const x = scale(from, to, left, right);
  const log = scale(Math.log10(ticks[0]), Math.log10(ticks.at(-1)), bottom, top);
  const y = (value) => rounded(log(Math.log10(Math.max(value, ticks[0]))));
  const grid = ticks.map((tick) => [
    svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
    svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, seconds(tick)),
  ]);
  const bars = marks.map((mark) => {
    const at = rounded(x((mark.from + mark.to) / 2));
    const [low, high] = [y(mark.median), y(mark.longest)];
    return svg("g", { class: `range ${mark.level}`, "data-tip": mark.tip },
      svg("rect", { class: "hit", x: at - 4, y: high - 4, width: 8, height: low - high + 8 }),
      svg("line", { x1: at, x2: at, y1: low, y2: high }),
      svg("circle", { cx: at, cy: low, r: 2.5 }),
    );
  });
  return picture(width, height, label, grid, timeAxis(x, from, to, left, right, height), bars);
}

// The quantiles of one function, on an axis that all functions share.
function quantileBar({ width, ticks, p50, p90, p99, max, tip }) {
  const log = scale(Math.log10(ticks[0]), Math.log10(ticks.at(-1)), 4, width - 4);
  const x = (value) => rounded(log(Math.log10(Math.min(Math.max(value, ticks[0]), ticks.at(-1)))));
  return svg("svg", { class: "quantiles", role: "img", "aria-label": tip, width, height: 20, "data-tip": tip },
    ticks.map((tick) => svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: 20 })),
    svg("line", { class: "whisker", x1: x(p50), x2: x(max), y1: 10, y2: 10 }),
    svg("rect", { class: "mark info", x: x(p50), y: 6, width: Math.max(2, rounded(x(p90) - x(p50))), height: 8 }),
    svg("line", { class: "tick", x1: x(p99), x2: x(p99), y1: 4, y2: 16 }),
  );
}

// A bar for the share of the largest number in a table column.
function shareBar(share, tip) {
  return svg("svg", { role: "img", "aria-label": tip, width: 200, height: 20, "data-tip": tip },
    svg("rect", { class: "mark wait", x: 0, y: 6, width: Math.max(2, rounded(200 * share)), height: 8 }));
}

function quantileAxis({ width, ticks }) {
  const log = scale(Math.log10(ticks[0]), Math.log10(ticks.at(-1)), 4, width - 4);
  const text = (tick, index) => {
    const anchor = index === 0 ? "start" : index === ticks.length - 1 ? "end" : "middle";
    return svg("text", { x: rounded(log(Math.log10(tick))), y: 14, "text-anchor": anchor }, seconds(tick));
  };
  return svg("svg", { "aria-hidden": "true", width, height: 20 }, ticks.map(text));
}
