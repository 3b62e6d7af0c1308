// The coverage map: reading and selecting cells by pointer and keyboard, and using a selection in the start form.
(() => {
  "use strict";

  const MOVES = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -Infinity], End: [0, Infinity],
  };

  const element = (id) => document.getElementById(id);
  const plural = (forms, n) => forms[n === 1 ? 0 : 1].replace("{n}", n.toLocaleString("en"));
  const format = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  let map = null;
  let etag = "";
  let canvasMap = null;
  let cursor = null;  // {row, month}
  let anchor = null;
  let selection = null;  // {rows, runs, first, last}: rows by number and in runs, months first to last

  // Cells.

  const state = (row, month) => map.cells[row][month];
  const isMissing = (letter) => letter !== letter.toLowerCase();
  const isStored = (letter) => "sfa".includes(letter.toLowerCase());
  const firstDistrict = () => Number(map.districts[0] === "all");
  const count = (digits, month) => parseInt(digits[month], 32);

  const rowsBetween = (one, other) => {
    const [low, high] = one < other ? [one, other] : [other, one];
    return Array.from({ length: high - low + 1 }, (_row, n) => low + n);
  };

  const consecutiveRuns = (rows) => {
    const runs = [];
    for (const row of rows) {
      if (runs.length && row === runs.at(-1).at(-1) + 1) runs.at(-1).push(row);
      else runs.push([row]);
    }
    return runs;
  };

  const draw = () => {
    canvasMap = window.bfCoverageCanvas(map);
    drawOverlay();
  };

  const drawOverlay = () => canvasMap.drawOverlay(selection, cursor);

  // Reading a cell.

  const describe = ({ row, month }) => {
    const texts = map.texts;
    const letter = state(row, month);
    const parts = [texts[letter]];
    const stored = count(map.stored[row], month);
    const computed = count(map.computed[row], month);
    if (stored) parts.push(plural(texts.dates, stored));
    if (computed) parts.push(format(texts.computed, { n: computed }));
    return format(texts.cell, { district: map.names[row], month: map.months[month], state: parts.join(", ") });
  };

  const readCell = (cell, isAnnounced) => {
    element("bf-map-cell").textContent = describe(cell);
    if (isAnnounced) element("bf-map-live-region").textContent = describe(cell);
  };

  // Selecting.

  const select = (next) => {
    selection = next && { ...next, runs: consecutiveRuns(next.rows) };
    const place = element("bf-selection");
    place.hidden = !next;
    if (next) element("bf-selection-text").replaceChildren(...describeSelection());
    drawOverlay();
  };

  const selectBetween = (one, other) => select({
    rows: rowsBetween(one.row, other.row),
    first: Math.min(one.month, other.month),
    last: Math.max(one.month, other.month),
  });

  const describeSelection = () => {
    const { rows, first, last } = selection;
    const texts = map.texts;
    const counts = { all: 0, missing: 0, stored: 0, unpublished: 0, unknown: 0 };
    for (const row of rows) {
      for (let month = first; month <= last; month += 1) {
        const letter = state(row, month);
        counts.all += 1;
        if (isMissing(letter)) counts.missing += 1;
        if (isStored(letter)) counts.stored += 1;
        if (letter === "u") counts.unpublished += 1;
        if (letter === "q") counts.unknown += 1;
      }
    }
    const months = first === last ? map.months[first] : format(texts.span, { first: map.months[first], last: map.months[last] });
    const strong = document.createElement("strong");
    strong.textContent = selection.title || format(texts.selected, { districts: describeRows(rows), months });
    const parts = ["missing", "stored", "unpublished", "unknown"].filter((name) => counts[name]);
    const details = parts.map((name) => format(texts[name], { n: counts[name].toLocaleString("en") })).join(", ");
    const text = [strong, ` ${plural(texts.cells, counts.all)}${details ? `: ${details}` : ""}.`];
    if (!districts().length && !isEverything()) text.push(` ${texts.onlySummary}`);
    element("bf-selection-use").hidden = !canUse();
    return text;
  };

  const shortName = (row) => map.districts[row].replace(/^0+(?=.)/, "");

  const describeRows = (rows) => {
    const isSummary = (row) => map.districts[row] === "all";
    const plain = consecutiveRuns(rows.filter((row) => !isSummary(row))).map((run) => (run.length === 1
      ? map.names[run[0]]
      : format(map.texts.districts, { first: shortName(run[0]), last: shortName(run.at(-1)) })));
    return [...rows.filter(isSummary).map((row) => map.names[row]), ...plain].join(", ");
  };

  // Using a selection.

  const districts = () => selection.rows.map((row) => map.districts[row]).filter((id) => id !== "all");

  const isEverything = () => {
    const chosen = new Set(selection.rows);
    return map.cells.every((cells, row) => {
      if (chosen.has(row) || map.districts[row] === "all") return true;
      return /^u*$/.test(cells.slice(selection.first, selection.last + 1));
    });
  };

  const hasForm = () => Boolean(document.getElementById("bf-start-form"));
  const canUse = () => hasForm() && (selection.isGap || isEverything() || districts().length > 0);

  const day = (month, isLast) => {
    const [year, number] = map.first.split("-").map(Number);
    return new Date(Date.UTC(year, number - 1 + month + (isLast ? 1 : 0), isLast ? 0 : 1)).toISOString().slice(0, 10);
  };

  const use = () => {
    const to = day(selection.last, true);
    const detail = {
      from: day(selection.first, false),
      to: to < map.lastDay ? to : map.lastDay,
      districts: isEverything() ? [] : districts(),
      cadence: selection.isGap ? "month-ends" : "",
    };
    document.body.dispatchEvent(new CustomEvent("bf-use-range", { detail }));
    element("bf-map-live-region").textContent = map.texts.used;
  };

  // Gaps.

  const rowsOf = (ids) => ids.map((id) => map.districts.indexOf(id));

  const showGaps = () => {
    element("bf-gaps-section").hidden = !map.gaps.length;
    element("bf-gaps-more").hidden = !map.moreGaps;
    element("bf-gaps").replaceChildren(...map.gaps.map((gap) => {
      const item = element("bf-gap").content.cloneNode(true);
      item.querySelector("strong").textContent = gap.title;
      item.querySelector(".bf-secondary").textContent = gap.text;
      for (const button of item.querySelectorAll("button")) {
        button.setAttribute("aria-label", `${button.textContent}: ${gap.title}`);
        if (button.dataset.action === "use") button.hidden = !hasForm();
        button.addEventListener("click", () => {
          const { first, last, title } = gap;
          cursor = null;
          select({ rows: rowsOf(gap.districts), first, last, isGap: true, title: `${title}.` });
          if (button.dataset.action === "use") use();
          else scrollTo({ row: selection.rows[0], month: first });
        });
      }
      return item;
    }));
  };

  const scrollTo = ({ row, month }) => {
    const scroll = element("bf-map-scroll");
    const left = canvasMap.x(month);
    if (left < scroll.scrollLeft || left + canvasMap.cellWidth > scroll.scrollLeft + scroll.clientWidth) {
      scroll.scrollLeft = left - scroll.clientWidth / 3;
    }
    const box = element("bf-map").getBoundingClientRect();
    const middle = box.top + canvasMap.y(row);
    if (middle < 0 || middle > window.innerHeight) window.scrollBy(0, middle - window.innerHeight / 3);
  };

  // Pointer and keys.

  const isTouch = (event) => event.pointerType === "touch";

  const onPointerDown = (event) => {
    if (event.button !== 0 || isTouch(event)) return;
    const cell = canvasMap.cellAt(event);
    if (!cell.isInside) return;
    if (!event.shiftKey || !anchor) anchor = cell;
    cursor = cell;
    element("bf-map").setPointerCapture(event.pointerId);
    element("bf-map").focus({ preventScroll: true });
    selectBetween(anchor, cell);
    readCell(cell, false);
  };

  const onPointerMove = (event) => {
    if (isTouch(event)) return;
    const cell = canvasMap.cellAt(event);
    const isDragging = element("bf-map").hasPointerCapture(event.pointerId);
    if (!cell.isInside && !isDragging) return;
    readCell(cell, false);
    cursor = cell;
    if (isDragging) selectBetween(anchor, cell);
    else drawOverlay();
  };

  // On touch screens a drag scrolls the map and a tap selects. The second tap extends the selection to its cell.
  const onPointerUp = (event) => {
    const cell = canvasMap.cellAt(event);
    if (!isTouch(event) || !cell.isInside) return;
    const isSecond = anchor && selection?.rows.length === 1 && selection.first === selection.last;
    if (!isSecond) anchor = cell;
    cursor = cell;
    element("bf-map").focus({ preventScroll: true });
    selectBetween(anchor, cell);
    readCell(cell, true);
    if (!isSecond) element("bf-map-cell").append(` ${map.texts.tapAgain}`);
  };

  const onKey = (event) => {
    if (event.key === "Escape" && selection) {
      anchor = null;
      select(null);
      element("bf-map-live-region").textContent = map.texts.cleared;
      return;
    }
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!cursor) return;
      anchor = cursor;
      selectBetween(anchor, cursor);
      element("bf-map-live-region").textContent = element("bf-selection-text").textContent;
      return;
    }
    const move = MOVES[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const before = cursor || startingCell();
    if (!event.shiftKey) anchor = null;
    else if (!anchor) anchor = before;
    cursor = cursor || event.shiftKey ? {
      row: clamp(before.row + move[0], 0, map.districts.length - 1),
      month: clamp(before.month + move[1], 0, map.months.length - 1),
    } : before;
    if (anchor) selectBetween(anchor, cursor);
    else drawOverlay();
    scrollTo(cursor);
    readCell(cursor, true);
    if (anchor) element("bf-map-live-region").textContent = element("bf-selection-text").textContent;
  };

  const startingCell = () => {
    if (selection) return { row: selection.rows[0], month: selection.first };
    return { row: firstDistrict(), month: map.months.length - 1 };
  };

  // Loading.

  const update = (response) => {
    const isFirst = !map;
    element("bf-coverage-loading").hidden = true;
    element("bf-coverage-empty").hidden = !response.isEmpty;
    element("bf-coverage-body").hidden = Boolean(response.isEmpty);
    element("bf-coverage-summary").textContent = response.summary || "";
    element("bf-unknown").hidden = !response.unknown;
    element("bf-unknown-text").textContent = response.unknown || "";
    if (response.isEmpty) return;
    const isSame = map && map.districts.join() === response.districts.join() && map.months.length === response.months.length;
    map = response;
    if (!isSame) {
      cursor = anchor = null;
      dropSelection();
    }
    element("bf-coverage-size").textContent = map.size;
    draw();
    if (selection) select(selection);
    if (cursor) readCell(cursor, false);
    showGaps();
    if (isFirst) element("bf-map-scroll").scrollLeft = canvasMap.width;
    element("bf-coverage").dataset.state = "ready";
  };

  const dropSelection = () => {
    selection = null;
    element("bf-selection").hidden = true;
  };

  const load = async () => {
    const place = element("bf-coverage");
    try {
      const response = await fetch(place.dataset.url, {
        headers: etag ? { "If-None-Match": etag } : {},
        cache: "no-store",
      });
      if (response.status === 304) return;
      if (!response.ok) throw new Error(response.status);
      etag = response.headers.get("ETag") || "";
      update(await response.json());
    } catch {
      if (map) return;  // keep the current map
      element("bf-coverage-message").textContent = place.dataset.errorText;
      place.dataset.state = "failed";
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const canvas = element("bf-map");
    if (!canvas) return;
    canvas.addEventListener("pointerdown", onPointerDown);
    canvas.addEventListener("pointermove", onPointerMove);
    canvas.addEventListener("pointerup", onPointerUp);
    canvas.addEventListener("pointerleave", () => { if (map && document.activeElement !== canvas) { cursor = null; drawOverlay(); } });
    canvas.addEventListener("keydown", onKey);
    canvas.addEventListener("blur", () => { cursor = null; if (map) drawOverlay(); });
    element("bf-selection-use").addEventListener("click", use);
    element("bf-selection-clear").addEventListener("click", () => {
      anchor = null;
      select(null);
      canvas.focus();
    });
    const redraw = () => { if (map) draw(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    let width = 0;
    new ResizeObserver(([entry]) => {
      const now = Math.round(entry.contentRect.width);
      if (now && now !== width) redraw();
      width = now;
    }).observe(element("bf-coverage"));
    document.body.addEventListener("bf-history", load);  // a job started or ended
    document.body.addEventListener("bf-calendar", load);  // pages of the calendar were read
    load();
  });
})();
