// Times: shown in the zone that the browser has chosen, with a tooltip that has all of them.
(() => {
  "use strict";

  const KEY = "bf-time-zone";  // "UTC", "local" or the name of a zone
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone;

  const choice = () => localStorage.getItem(KEY) || "UTC";
  const zone = () => (choice() === "local" ? LOCAL : choice());
  const tip = () => document.getElementById("bf-time-tip");

  const formatters = {};
  const parts = (moment, timeZone) => {
    formatters[timeZone] ||= new Intl.DateTimeFormat("en-GB", {
      timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    });
    return Object.fromEntries(formatters[timeZone].formatToParts(moment).map((part) => [part.type, part.value]));
  };

  const timeOfDay = ({ hour, minute, second }, hasSeconds) => (hasSeconds ? `${hour}:${minute}:${second}` : `${hour}:${minute}`);
  const dayOf = ({ day, month, year }, thisYear) => `${Number(day)} ${MONTHS[month - 1]}${year === thisYear ? "" : ` ${year}`}`;

  // The formats of presenters/times.py.
  const format = (moment, kind) => {
    const [then, now] = [parts(moment, zone()), parts(new Date(), zone())];
    const time = timeOfDay(then, kind === "clock" || kind.endsWith("-seconds"));
    const isToday = ["year", "month", "day"].every((unit) => then[unit] === now[unit]);
    const day = dayOf(then, now.year);
    switch (kind.replace("-seconds", "")) {
      case "when": return isToday ? `Today, ${time}` : `${day}, ${time}`;
      case "at": return isToday ? `at ${time}` : `on ${day} at ${time}`;
      case "soon": return isToday ? time : `${day}, ${time}`;
      default: return time;
    }
  };

  // Show the times below `root` in the chosen zone. The server sends them in UTC.
  const localize = (root) => {
    if (zone() === "UTC") return;
    for (const time of root.querySelectorAll("time[data-format]")) {
      time.textContent = format(new Date(time.dateTime), time.dataset.format);
    }
    for (const part of root.querySelectorAll("template")) localize(part.content);
  };

  const relative = (moment) => {
    const seconds = Math.round((moment - Date.now()) / 1000);
    const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) || UNITS.at(-1);
    return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(Math.trunc(seconds / size), unit);
  };

  // The tooltip.

  let shown = null;

  const line = (moment, label, timeZone) => {
    const then = parts(moment, timeZone);
    return `${dayOf(then)}, ${timeOfDay(then, true)} ${label}`;
  };

  const describe = () => {
    const moment = new Date(shown.dateTime);
    const lines = [line(moment, "UTC", "UTC"), line(moment, `local time (${LOCAL})`, LOCAL), relative(moment)];
    if (tip().dataset.lines === lines.join("\n")) return;
    tip().dataset.lines = lines.join("\n");
    tip().replaceChildren(...lines.map((text) => {
      const each = document.createElement("span");
      each.textContent = text;
      return each;
    }));
  };

  const show = (time) => {
    shown = time;
    describe();
    if (!tip().matches(":popover-open")) tip().showPopover();
    const [box, own] = [time.getBoundingClientRect(), tip().getBoundingClientRect()];
    const top = box.bottom + own.height + 4 > window.innerHeight ? box.top - own.height - 2 : box.bottom + 2;
    tip().style.left = `${Math.max(4, Math.min(box.left, document.documentElement.clientWidth - own.width - 4))}px`;
    tip().style.top = `${top}px`;
  };

  const hide = () => {
    shown = null;
    if (tip().matches(":popover-open")) tip().hidePopover();
  };

  const timeAt = (event) => event.target.closest?.("time[aria-describedby]");
  const isIn = (target) => Boolean(target) && (shown?.contains(target) || tip().contains(target));

  window.bfTimes = { localize, clock: (moment) => timeOfDay(parts(moment, zone()), true), minute: (moment) => timeOfDay(parts(moment, zone())) };

  document.addEventListener("DOMContentLoaded", () => {
    if (!tip()) return;
    localize(document);
    const select = document.getElementById("bf-zone");
    if (select) {
      if (![...select.options].some((option) => option.value === choice())) localStorage.removeItem(KEY);
      select.value = choice();
      select.querySelector("[value=local]").append(` (${LOCAL})`);
      document.getElementById("bf-zone-note").hidden = true;
      document.getElementById("bf-zone-choice").hidden = false;
      select.addEventListener("change", () => {
        localStorage.setItem(KEY, select.value);
        location.reload();
      });
    }
    document.addEventListener("mouseover", (event) => {
      if (timeAt(event)) show(timeAt(event));
      else if (shown && document.activeElement !== shown && !isIn(event.target)) hide();
    });
    document.addEventListener("focusin", (event) => { if (timeAt(event)) show(timeAt(event)); });
    document.addEventListener("focusout", (event) => { if (timeAt(event)) hide(); });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && shown) hide(); });
    document.addEventListener("scroll", () => { if (shown) show(shown); }, { capture: true, passive: true });
    setInterval(() => {
      if (!shown) return;
      if (shown.isConnected) describe();
      else hide();
    }, 1000);
    document.body.addEventListener("htmx:afterSettle", () => localize(document));
  });
})();
