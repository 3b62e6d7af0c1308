// The trend charts of a district: one chart for each figure, with a shared time axis and cursor.
(() => {
  "use strict";

  const HEIGHT = 170;
  const YEAR_STARTS = { month: 6, day: 1 };
  const day = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", {
    day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
  });
  const formatValue = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
  const token = (name) => getComputedStyle(document.querySelector(".bf")).getPropertyValue(name).trim();

  let data = null;
  let from = 0;
  let charts = [];

  // Figures that restart in each program year have a gap at its start instead of a falling line.
  const columns = (name) => {
    const days = [];
    const values = [];
    data.days.forEach((moment, n) => {
      if (moment < from) return;
      const isYearStart = days.length && data.years[n] !== data.years[n - 1];
      if (isYearStart && data.resetEachYear.includes(name)) {
        days.push(moment - 1);
        values.push(null);
      }
      days.push(moment);
      values.push(data.lines[name][n]);
    });
    return [days, values];
  };

  const valueElement = (figure) => figure.querySelector(".bf-chart-value");

  const showValue = (figure, value, moment) => {
    const place = valueElement(figure);
    place.querySelector("strong").textContent = moment === null ? place.dataset.value : formatValue(value);
    place.querySelector("span").textContent = moment === null ? place.dataset.day : day(moment);
  };

  const drawYearStarts = (chart) => {
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

  const drawCurrentDay = (chart, name) => {
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

  const paddedRange = (_chart, low, high) => {
    if (low === null || high === null) return [0, 1];
    const padding = Math.max((high - low) * 0.12, 1);
    return [Math.max(0, low - padding), high + padding];
  };

  const createChart = (figure) => {
    const { name } = figure.dataset;
    const place = figure.querySelector(".bf-chart-canvas");
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
      scales: { x: { time: true, range: (_chart, low, high) => [Math.min(from, low), Math.max(high, low + 86400)] }, y: { range: paddedRange } },
      axes: [
        { ...axis, grid: { show: false }, space: 64 },
        { ...axis, grid: { stroke: token("--hairline-color"), width: 1 }, size: 52, values: (_chart, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? formatValue(tick) : "")) },
      ],
      series: [
        {},
        {
          stroke: token("--bf-done"),
          fill: data.resetEachYear.includes(name) ? token("--bf-info-bg") : undefined,  // the axis of the others does not start at zero
          width: 2,
          spanGaps: false,
          points: { show: values[0].length < 80, size: 4, fill: token("--bf-done") },
        },
      ],
      hooks: {
        drawClear: [drawYearStarts],
        draw: [(drawing) => drawCurrentDay(drawing, name)],
        setCursor: [(at) => {
          const n = at.cursor.idx;
          if (n === null || n === undefined) showValue(figure, null, null);
          else if (values[1][n] !== null) showValue(figure, values[1][n], values[0][n]);
        }],
      },
    }, values, place);
    return { chart, place, figure };
  };

  // With the focus, arrow keys read the values point by point.

  const points = ({ chart }) => chart.data[0].map((_moment, n) => n).filter((n) => chart.data[1][n] !== null && chart.data[1][n] !== undefined);

  const readPoint = (drawing, n) => {
    const { chart, place, figure } = drawing;
    const [moment, value] = [chart.data[0][n], chart.data[1][n]];
    chart.setCursor({ left: chart.valToPos(moment, "x"), top: 0 });
    showValue(figure, value, moment);
    place.setAttribute("aria-valuenow", points(drawing).indexOf(n) + 1);
    place.setAttribute("aria-valuetext", `${day(moment)}: ${formatValue(value)}`);
  };

  const makeReadable = (drawing) => {
    const { chart, place, figure } = drawing;
    const all = points(drawing);
    if (!all.length) return;
    const attributes = {
      tabindex: 0, role: "slider", "aria-readonly": "true",
      "aria-valuemin": 1, "aria-valuemax": all.length, "aria-valuenow": all.length, "aria-valuetext": formatValue(chart.data[1][all.at(-1)]),
    };
    for (const [name, value] of Object.entries(attributes)) place.setAttribute(name, value);
    let at = all.length - 1;
    place.onfocus = () => readPoint(drawing, all[at]);
    place.onblur = () => {
      chart.setCursor({ left: -10, top: -10 });
      showValue(figure, null, null);
    };
    place.onkeydown = (event) => {
      const next = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: all.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      at = Math.min(Math.max(next, 0), all.length - 1);
      readPoint(drawing, all[at]);
    };
  };

  const draw = () => {
    for (const { chart } of charts) chart.destroy();
    charts = [...document.querySelectorAll(".bf-chart")].map(createChart);
    charts.forEach(makeReadable);
  };

  const showPeriods = () => {
    const place = document.getElementById("bf-chart-periods");
    place.hidden = data.periods.length < 2;
    data.periods.forEach((period) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "bf-chip";
      chip.textContent = period.label;
      chip.setAttribute("aria-pressed", period.from === from);
      chip.addEventListener("click", () => {
        from = period.from;
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
    from = data.periods[Math.min(1, data.periods.length - 1)].from;
    showPeriods();
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
