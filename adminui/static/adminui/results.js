// The trend of a district: a chart for each figure, on one axis of time, read together.
(() => {
  "use strict";

  const HEIGHT = 170;
  const YEAR_STARTS = { month: 6, day: 1 };
  const day = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", {
    day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
  });
  const shown = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
  const token = (name) => getComputedStyle(document.querySelector(".bf")).getPropertyValue(name).trim();

  let data = null;
  let from = 0;
  let charts = [];

  // What is counted anew in each program year is no fall at its turn: the line is broken there.
  const columns = (name) => {
    const days = [];
    const values = [];
    data.days.forEach((moment, n) => {
      if (moment < from) return;
      const isTurn = days.length && data.years[n] !== data.years[n - 1];
      if (isTurn && data.startsAnew.includes(name)) {
        days.push(moment - 1);
        values.push(null);
      }
      days.push(moment);
      values.push(data.lines[name][n]);
    });
    return [days, values];
  };

  const readout = (figure) => figure.querySelector(".bf-chart-value");

  const tell = (figure, value, moment) => {
    const place = readout(figure);
    place.querySelector("strong").textContent = moment === null ? place.dataset.value : shown(value);
    place.querySelector("span").textContent = moment === null ? place.dataset.day : day(moment);
  };

  const yearTurns = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.strokeStyle = token("--border-color");
    ctx.setLineDash([3, 3]);
    const [first, last] = [chart.scales.x.min, chart.scales.x.max].map((moment) => new Date(moment * 1000).getUTCFullYear());
    for (let year = first; year <= last; year += 1) {
      const moment = Date.UTC(year, YEAR_STARTS.month, YEAR_STARTS.day) / 1000;
      if (moment <= chart.scales.x.min || moment >= chart.scales.x.max) continue;
      const x = Math.round(chart.valToPos(moment, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };

  const currentDay = (chart, name) => {
    const n = data.days.indexOf(data.current);
    const value = data.lines[name][n];
    if (n < 0 || value === null) return;
    const { ctx } = chart;
    const ratio = window.devicePixelRatio || 1;
    ctx.save();
    ctx.fillStyle = token("--body-bg");
    ctx.strokeStyle = token("--bf-done");
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.arc(chart.valToPos(data.current, "x", true), chart.valToPos(value, "y", true), 4.5 * ratio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
    ctx.restore();
  };

  const range = (_chart, low, high) => {
    if (low === null || high === null) return [0, 1];
    const room = Math.max((high - low) * 0.12, 1);
    return [Math.max(0, low - room), high + room];
  };

  const make = (figure) => {
    const { name } = figure.dataset;
    const place = figure.querySelector(".bf-chart-place");
    const values = columns(name);
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: token("--bf-secondary"), font, ticks: { show: false } };
    const chart = new uPlot({
      width: place.clientWidth,
      height: HEIGHT,
      tzDate: (moment) => uPlot.tzDate(new Date(moment * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: {
        sync: { key: "bf-trend" },
        drag: { x: false, y: false },
        y: false,
        points: { size: 8, fill: token("--bf-done"), stroke: token("--body-bg") },
      },
      scales: { x: { time: true, range: (_chart, low, high) => [Math.min(from, low), Math.max(high, low + 86400)] }, y: { range } },
      axes: [
        { ...axis, grid: { show: false }, space: 64 },
        { ...axis, grid: { stroke: token("--hairline-color"), width: 1 }, size: 52, values: (_chart, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? shown(tick) : "")) },
      ],
      series: [
        {},
        {
          stroke: token("--bf-done"),
          fill: data.startsAnew.includes(name) ? token("--bf-info-bg") : undefined,  // else its axis does not begin at zero
          width: 2,
          spanGaps: false,
          points: { show: values[0].length < 80, size: 4, fill: token("--bf-done") },
        },
      ],
      hooks: {
        drawClear: [yearTurns],
        draw: [(drawing) => currentDay(drawing, name)],
        setCursor: [(at) => {
          const n = at.cursor.idx;
          if (n === null || n === undefined) tell(figure, null, null);
          else if (values[1][n] !== null) tell(figure, values[1][n], values[0][n]);
        }],
      },
    }, values, place);
    return { chart, place };
  };

  const draw = () => {
    for (const { chart } of charts) chart.destroy();
    charts = [...document.querySelectorAll(".bf-chart")].map(make);
  };

  const showSpans = () => {
    const place = document.getElementById("bf-chart-periods");
    place.hidden = data.spans.length < 2;
    data.spans.forEach((span) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "bf-chip";
      chip.textContent = span.label;
      chip.setAttribute("aria-pressed", span.from === from);
      chip.addEventListener("click", () => {
        from = span.from;
        for (const each of place.children) each.setAttribute("aria-pressed", each === chip);
        draw();
      });
      place.append(chip);
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const source = document.getElementById("bf-trend-data");
    if (!source) return;
    data = JSON.parse(source.textContent);
    from = data.spans[Math.min(1, data.spans.length - 1)].from;
    showSpans();
    draw();
    const place = document.getElementById("bf-charts");
    place.dataset.state = "ready";
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => {
      for (const each of charts) {
        const width = each.place.clientWidth;
        if (width && width !== each.chart.width) each.chart.setSize({ width, height: HEIGHT });
      }
    }).observe(place);
  });
})();
