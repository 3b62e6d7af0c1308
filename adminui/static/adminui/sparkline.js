// Values of the sparkline: the minute under the pointer, or the one that the arrow keys select.
(() => {
  "use strict";

  let chosen = null;  // the moment of the shown minute, which stays when the chart moves on

  const chart = () => document.getElementById("bf-sparkline");
  const counts = () => chart().dataset.counts.split(",").map(Number);
  const first = () => new Date(chart().dataset.first).getTime();
  const indexOf = (moment) => Math.round((moment - first()) / 60_000);

  const draw = () => {
    const n = chosen === null ? -1 : indexOf(chosen);
    const values = counts();
    const isShown = n in values;
    const cursor = document.getElementById("bf-sparkline-cursor");
    const text = isShown ? `${window.bfTimes.minute(new Date(chosen))}: ${values[n].toLocaleString("en")} ${values[n] === 1 ? "item" : "items"}` : "";
    document.getElementById("bf-sparkline-value").textContent = text;
    cursor.setAttribute("visibility", isShown ? "visible" : "hidden");
    if (!isShown) return;
    const x = (300 * n) / (values.length - 1);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    chart().setAttribute("aria-valuenow", n + 1);
    chart().setAttribute("aria-valuetext", text);
  };

  const choose = (n) => {
    chosen = n === null ? null : first() + 60_000 * Math.min(Math.max(n, 0), counts().length - 1);
    draw();
  };

  const isOn = (event) => event.target.closest?.("#bf-sparkline");

  document.addEventListener("DOMContentLoaded", () => {
    document.addEventListener("pointermove", (event) => {
      if (isOn(event)) {
        const box = chart().getBoundingClientRect();
        choose(Math.round(((event.clientX - box.left) / box.width) * (counts().length - 1)));
      } else if (chosen !== null && document.activeElement !== chart()) choose(null);
    });
    document.addEventListener("focusin", (event) => { if (isOn(event)) choose(counts().length - 1); });
    document.addEventListener("focusout", (event) => { if (isOn(event)) choose(null); });
    document.addEventListener("keydown", (event) => {
      if (!isOn(event)) return;
      const last = counts().length - 1;
      const now = chosen === null ? last : indexOf(chosen);
      const next = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      choose(next);
    });
    document.body.addEventListener("bf-status-updated", () => { if (chart() && chosen !== null) draw(); });
  });
})();
